"""What docs/threats.md promises and no other test shows; and that each of its tests is there."""

import ast
import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("cinescribe", "pipelines", "train", "serve", "infra", "benchmarks")

# What runs or builds what a file says, by the files that may call it, and with which argument only.
_LISTED = {
    "torch.load": (
        "weights_only=True",
        {"cinescribe/zoo/checkpoints.py", "cinescribe/speech/whisper_engines.py", "train/checkpoints.py"},
    ),
    "np.load": ("allow_pickle=False", None),
    "numpy.load": ("allow_pickle=False", None),
}
_NEVER = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "joblib.load", "marshal.loads", "eval",
    "exec", "pd.read_pickle", "pandas.read_pickle", "shelve.open", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "os.system", "os.popen", "torch.hub.load", "torch.jit.load",
}  # fmt: skip


def _calls() -> Iterator[tuple[str, int, str, dict[str, str]]]:
    """File, line, what is called and its named arguments, of every call in the product."""
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    named = {one.arg: ast.unparse(one.value) for one in node.keywords if one.arg}
                    yield path.relative_to(ROOT).as_posix(), node.lineno, ast.unparse(node.func), named


def test_nothing_unpickles_or_evaluates_but_what_is_listed() -> None:
    seen = set()
    for file, line, name, named in _calls():
        assert name not in _NEVER, f"{file}:{line}"
        assert named.get("shell", "False") == "False", f"{file}:{line}"
        assert named.get("trust_remote_code", "False") == "False", f"{file}:{line}"
        if name in _LISTED:
            argument, files = _LISTED[name]
            key, _, value = argument.partition("=")
            assert named.get(key) == value, f"{file}:{line}"
            assert files is None or file in files, f"{file}:{line}"
            seen.add(name)
    assert {"torch.load", "np.load"} <= seen  # or the names above are not those of the code any more


def test_ray_is_started_here_and_without_its_dashboard() -> None:
    started = 0
    for file, line, name, named in _calls():
        if name == "ray.init":
            given = named.get("address") == "address or None"  # a cluster that somebody else has started
            here = named.get("address") == "'local'" and named.get("include_dashboard") == "False"
            assert given or here, f"{file}:{line}"
            started += here
    assert started >= 3  # of the pipelines, the training and the service


def test_the_service_listens_here_alone_unless_told() -> None:
    from serve.command import parser

    assert parser().parse_args(["tables"]).host == "127.0.0.1"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_decoding_process_has_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from serve.decoding import Decoder

    for name in ("CINESCRIBE_API_KEYS", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "a-secret-of-the-operator")
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    (tmp_path / "picture").write_bytes(picture.getvalue())

    async def environments() -> list[bytes]:
        frames = await Decoder(60.0, 1000, 1.0).frames(tmp_path / "picture")
        assert frames.shape == (1, 8, 8, 3)
        children = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
        told = [Path(f"/proc/{child}") for some in children for child in some]
        return [one.joinpath("environ").read_bytes() for one in told if b"serve.decode" in _command(one)]

    found = asyncio.run(environments())
    assert found
    assert all(b"a-secret" not in environment for environment in found)


def _command(process: Path) -> bytes:
    return process.joinpath("cmdline").read_bytes()


def test_every_promise_names_a_file_and_a_test_that_are_there() -> None:
    promises = 0
    for line in (ROOT / "docs" / "threats.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith("|") or line.startswith(("|---", "| threat", "| **")):
            continue
        _, promise, kept, shown = line.strip("| ").split(" | ")
        assert promise
        for path in re.findall(r"`([\w/.]+)`", kept):
            assert (ROOT / path).exists(), path
        tests = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", shown)
        assert tests, line
        for path, name in tests:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"^(?:async )?def {name or 'test_'}", text, re.MULTILINE), f"{path}::{name}"
        promises += 1
    assert promises > 20
