"""What the images are made of: the lock alone, and no more of it than the product needs."""

import re
from pathlib import Path

import pytest

from infra import lock, pods

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "infra" / "Dockerfile").read_text()


def names(text: str) -> set[str]:
    return {line.partition("==")[0] for line in text.splitlines() if "==" in line}


def versions(text: str) -> set[str]:
    return {line for line in text.splitlines() if "==" in line and line[0].isalnum()}


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert lock.main(list(arguments)) == 0
    return capsys.readouterr().out


def test_an_image_has_what_the_product_needs_and_no_tools(capsys: pytest.CaptureFixture[str]) -> None:
    plain = names(listed(capsys))
    assert {
        "ray",
        "torch",
        "openai-whisper",
        "lancedb",
        "fastapi",
        "nvidia-cudnn-cu13",
        "jsonschema",
    } <= plain
    assert not plain & {
        "pytest",
        "moto",
        "mypy",
        "ruff",
        "playwright",
        "schemathesis",
        "piper-tts",
        "rapidocr",
    }
    assert names(listed(capsys, "--extras", "experts")) - plain >= {"rapidocr", "dlib-bin"}
    assert "piper-tts" in names(listed(capsys, "--extras", "voices"))
    everything = versions((ROOT / "requirements.lock").read_text())
    assert versions(listed(capsys, "--extras", "voices,experts,dev")) == everything


def test_every_package_of_an_image_has_its_version_and_hashes(capsys: pytest.CaptureFixture[str]) -> None:
    text = listed(capsys, "--extras", "experts")
    blocks = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(versions(text))
    for block in blocks:
        first, *hashes = block.strip().splitlines()
        assert first.endswith(" \\")
        assert hashes
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)
        assert not hashes[-1].endswith("\\")


def test_layers_are_the_whole_list_once(capsys: pytest.CaptureFixture[str]) -> None:
    large, rest = (names(listed(capsys, "--part", part)) for part in ("large", "rest"))
    assert not large & rest
    assert large | rest == names(listed(capsys))
    assert {"torch", "triton"} <= large
    assert names(listed(capsys, "--part", "large", "--without", "triton")) == large - {"triton"}
    assert lock.main(["--extras", "nothing"]) == 2
    assert "'nothing'" in capsys.readouterr().err


def test_the_dockerfile_copies_what_is_there_and_runs_as_the_pods_user() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / "infra" / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert {"cpu", "gpu"} <= set(stages)
    for target in ("cpu", "gpu"):
        body = DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
        assert f"USER {pods._USER}" in body
    for install in re.findall(r"pip install[^\n]*(?:\\\n[^\n]*)*", DOCKERFILE):
        assert "--require-hashes" in install
        assert "--no-deps" in install
