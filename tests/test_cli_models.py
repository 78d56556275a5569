"""`cinescribe models`: what a person at a shell sees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cinescribe import zoo
from cinescribe.cli import COMMANDS, main


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that holds nothing and a mirror that is not there."""
    monkeypatch.setenv("CINESCRIBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CINESCRIBE_WEIGHTS", raising=False)
    return tmp_path / "cache" / "weights"


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "models" in capsys.readouterr().out


def test_list_is_tab_separated_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    header, *rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert header == ["name", "role", "MB", "licence", "state", "source"]
    assert [row[0] for row in rows] == list(zoo.entries())
    table = {row[0]: row for row in rows}
    assert table["ge2e"][1:] == ["speaker_embedding", "17.1", "Apache-2.0", "-", "author, wheel"]
    assert table["pyannote/speaker-diarization-3.1"][5] == "hub, with an account"


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cinescribe.cli import main; main(['models', 'list']); "
        "print(sorted({'torch', 'whisper', 'numpy', 'rich', 'boto3', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_and_first_errors_of_all_commands_come_before_anything_slow_is_loaded(tmp_path: Path) -> None:
    asked = [[command, "--help"] for command in COMMANDS] + [
        ["plan", "missing"],
        ["transcribe", "missing", "--out", "out"],
        ["extract", "missing", "--out", "out", "--encoders", "objects"],
        ["index", "missing"],
        ["align", "missing", "--model", "missing"],
        ["describe", "missing", "--out", "out", "--model", "missing"],
        ["search", "missing", "words"],
        ["evaluate", "missing"],
        ["serve", "missing"],
    ]
    code = (
        "import contextlib, json, sys\nfrom cinescribe.cli import main\n"
        f"for arguments in {asked!r}:\n"
        "    try:\n        with contextlib.redirect_stdout(sys.stderr): code = main(arguments)\n"
        "    except SystemExit as ended: code = ended.code\n"
        "    slow = sorted({'torch', 'ray', 'lance', 'transformers', 'whisper'} & set(sys.modules))\n"
        "    print(json.dumps([arguments, code, slow]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    expected = [[arguments, 0 if "--help" in arguments else 2, []] for arguments in asked]
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected


def test_a_file_put_into_the_store_is_listed_and_damage_is_one_clear_error(
    empty_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_store / "ge2e").mkdir(parents=True)
    (empty_store / "ge2e" / "pretrained.pt").write_bytes(b"damaged")
    main(["models", "list"])
    assert "ge2e\tspeaker_embedding\t17.1\tApache-2.0\there" in capsys.readouterr().out
    assert main(["models", "verify"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"cinescribe: {empty_store}/ge2e/pretrained.pt: SHA-256 ")
    assert len(printed.err.splitlines()) == 1


def test_an_unknown_name_is_an_error_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "wisper"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("cinescribe: no weight is called 'wisper'")
    assert len(error.splitlines()) == 1


def test_verify_with_nothing_here_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out == "no weights on this machine\n"


def test_an_interrupt_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(zoo, "pull", interrupt)
    assert main(["models", "pull"]) == 130
    assert capsys.readouterr().err == "cinescribe: interrupted\n"
