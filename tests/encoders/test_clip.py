"""CLIP features are open_clip's, whatever names the weights; what does not fit is refused, never random."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from numpy.typing import NDArray

from cinescribe.encoders import catalogue
from cinescribe.encoders.clip import ClipEncoder
from cinescribe.errors import UsageError, WeightsError
from tests.s3 import s3_server

SMALL = "ViT-S-32-alt"  # open_clip's smallest
TEXTS = ["a man lifts a barbell", "", "a dog on a scooter, " * 40]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as open_clip's training writes it, of its smallest model with drawn weights."""
    import open_clip
    import torch

    torch.manual_seed(5)
    model = open_clip.create_model(SMALL)
    path = tmp_path_factory.mktemp("clip") / "epoch_1.pt"
    state = {f"module.{name}": tensor.half() for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 1, "name": "run", "state_dict": state}, path)
    return path


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> ClipEncoder:
    loaded = catalogue.load(f"clip:{SMALL}/{checkpoint}")
    assert isinstance(loaded, ClipEncoder)
    return loaded


@pytest.fixture(scope="module")
def theirs(checkpoint: Path) -> tuple[Any, Any]:
    """open_clip's model and transform, from the same file."""
    import open_clip

    model, _, transform = open_clip.create_model_and_transforms(SMALL, pretrained=str(checkpoint))
    return model.eval(), transform


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint8]:
    y, x = np.mgrid[:270, :480]
    waves = [np.sin(x / (3 + k) + y / (9 - k)) * 120 + 128 for k in range(6)]
    return np.stack([np.stack(waves[k : k + 3], axis=-1) for k in range(4)]).astype(np.uint8)


def test_features_of_frames_are_open_clips(
    encoder: ClipEncoder, theirs: tuple[Any, Any], frames: NDArray[np.uint8]
) -> None:
    import torch
    from PIL import Image

    model, transform = theirs
    with torch.inference_mode():
        pictures = torch.stack([transform(Image.fromarray(frame)) for frame in frames])
        expected = model.encode_image(pictures, normalize=True).numpy()
    found = encoder(frames[:, None])
    assert found.dtype == np.float16
    assert found.shape == (4, encoder.spec.dim) == (4, 256)
    assert np.abs(found - expected).max() < 5e-4  # float16 of values below 1
    assert np.array_equal(encoder.encode_frames(frames), found)
    assert encoder(frames[:0, None]).shape == (0, 256)


def test_features_of_texts_are_open_clips(encoder: ClipEncoder, theirs: tuple[Any, Any]) -> None:
    import open_clip
    import torch

    with torch.inference_mode():
        expected = theirs[0].encode_text(open_clip.get_tokenizer(SMALL)(TEXTS), normalize=True).numpy()
    found = encoder.encode_text(TEXTS, batch=2)
    assert found.dtype == np.float16
    assert np.abs(found - expected).max() < 5e-4
    assert encoder.encode_text([]).shape == (0, 256)


def test_it_says_which_weights_it_has(encoder: ClipEncoder, checkpoint: Path) -> None:
    assert encoder.weights == {"clip": f"{SMALL}/{checkpoint}"}


@pytest.mark.parametrize(
    ("written", "name", "hz", "dim"),
    [
        ("clip", "clip", 1.0, 512),
        ("clip:ViT-B-32/openai", "clip", 1.0, 512),
        ("clip@5", "clip-5hz", 5.0, 512),
        ("clip:ViT-L-14/openai@2", "clip-ViT-L-14-openai-2hz", 2.0, 768),
        ("clip:ViT-B-16-SigLIP/webli", "clip-ViT-B-16-SigLIP-webli", 1.0, 768),
    ],
)
def test_what_is_known_before_loading(written: str, name: str, hz: float, dim: int) -> None:
    spec = catalogue.spec(written)
    assert (spec.name, spec.hz, spec.dim, spec.offsets) == (name, hz, dim, (0.5 / hz,))


def test_tables_of_different_checkpoints_have_different_names() -> None:
    written = ["clip:RN50//a/x.pt", "clip:RN50//b/x.pt", "clip:RN50/s3://a/x.pt", "clip:RN101//a/x.pt"]
    assert len({catalogue.spec(one).name for one in written}) == len(written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("clip:ViT-B-33/openai", "knows no architecture 'ViT-B-33'"),
        ("clip:ViT-B-32/openia", "openai, laion400m_e31"),
        ("clip:ViT-B-32", "ViT-B-32/TAG"),
        ("clip:ViT-B-32/models/clip.pt", "ViT-B-32//absolute/path"),
    ],
)
def test_an_unknown_model_is_a_usage_error_that_lists_the_known(written: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        catalogue.spec(written)


def test_weights_that_cannot_be_had_are_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"ViT-B-32/openai can't be had.*clip:ViT-B-32-quickgelu//path"):
        catalogue.load("clip")


@pytest.mark.slow
def test_a_tag_brings_its_own_activation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: NDArray[np.uint8]
) -> None:
    """The default, from a hub cache of drawn weights: open_clip by itself would take the other activation."""
    import open_clip
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    torch.manual_seed(6)
    model, _, transform = open_clip.create_model_and_transforms("ViT-B-32-quickgelu")
    repository = tmp_path / "models--timm--vit_base_patch32_clip_224.openai"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("1" * 40)
    (repository / "snapshots" / ("1" * 40)).mkdir(parents=True)
    save_file(model.state_dict(), repository / "snapshots" / ("1" * 40) / "open_clip_model.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with torch.inference_mode():
        picture = transform(Image.fromarray(frames[0]))[None]
        expected = model.eval().encode_image(picture, normalize=True).numpy()
    assert np.abs(catalogue.load("clip")(frames[:1, None]) - expected).max() < 5e-4


def test_an_absent_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"/nowhere/clip\.pt: there is no such file"):
        catalogue.load(f"clip:{SMALL}//nowhere/clip.pt")


def test_a_checkpoint_of_another_architecture_is_refused(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match=r"epoch_1\.pt: not a checkpoint of ViT-S-32 "):
        catalogue.load(f"clip:ViT-S-32/{checkpoint}")


def test_a_checkpoint_for_other_pictures_is_refused_not_interpolated(
    tmp_path: Path, checkpoint: Path
) -> None:
    import torch

    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    width = state["module.visual.positional_embedding"].shape[1]
    state["module.visual.positional_embedding"] = torch.zeros(1 + 8 * 8, width)
    torch.save(state, tmp_path / "larger.pt")
    with pytest.raises(WeightsError, match=r"larger\.pt.*for 65 positions, in ViT-S-32-alt for 50"):
        catalogue.load(f"clip:{SMALL}/{tmp_path / 'larger.pt'}")


def test_a_checkpoint_that_lacks_a_tensor_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    kept = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    del kept["text_projection"]
    save_file(kept, tmp_path / "lacking.safetensors")
    with pytest.raises(WeightsError, match=r"lacking\.safetensors.*text_projection"):
        catalogue.load(f"clip:{SMALL}/{tmp_path / 'lacking.safetensors'}")


class Malicious:
    """Pickles as a call that leaves a folder behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_that_carries_code_is_refused_unrun(tmp_path: Path) -> None:
    import torch

    torch.save({"state_dict": Malicious(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match=r"evil\.pt: refused.*mkdir"):
        catalogue.load(f"clip:{SMALL}/{tmp_path / 'evil.pt'}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["page.pt", "page.safetensors"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match=name):
        catalogue.load(f"clip:{SMALL}/{tmp_path / name}")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of an S3 server on this machine that holds the bucket `models`."""
    monkeypatch.setenv("CINESCRIBE_CACHE", str(tmp_path / "cache"))
    with s3_server("models"):
        yield boto3.client("s3")


def test_a_checkpoint_on_s3_is_fetched_once(
    bucket: Any, checkpoint: Path, encoder: ClipEncoder, frames: NDArray[np.uint8], tmp_path: Path
) -> None:
    bucket.upload_file(str(checkpoint), "models", "clip/small.pt")
    written = f"clip:{SMALL}/s3://models/clip/small.pt"
    for _ in range(2):
        assert np.array_equal(catalogue.load(written)(frames[:1, None]), encoder(frames[:1, None]))
    kept = list((tmp_path / "cache" / "checkpoints").glob("*small.pt"))
    assert [path.stat().st_size for path in kept] == [checkpoint.stat().st_size]


def test_an_absent_object_is_named(bucket: Any) -> None:
    with pytest.raises(WeightsError, match=r"s3://models/none\.pt: there is no such object"):
        catalogue.load(f"clip:{SMALL}/s3://models/none.pt")
