"""What the command and the builder refuse before anything is started."""

import socket

import pytest
from pydantic import ValidationError

from cinescribe import cli
from cinescribe.errors import UsageError
from serve.app import Arguments, build, replica_range
from serve.command import free_port


def test_a_folder_without_an_index(tmp_path, capsys):
    assert cli.main(["serve", str(tmp_path), "--port", str(free_port(0))]) == 2
    assert "cinescribe index" in capsys.readouterr().err


def test_a_port_in_use(library, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["serve", str(library), "--port", str(port)]) == 2
        assert free_port(port) != port
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--replicas", "0"),
        ("--replicas", "4-2"),
        ("--threads", "0"),
        ("--allow", "file:///"),
        ("--port", "99999"),
    ],
)
def test_options_that_cannot_be_met(library, capsys, option, value):
    assert cli.main(["serve", str(library), option, value]) == 2
    assert option in capsys.readouterr().err


@pytest.mark.parametrize(("written", "expected"), [("1", (1, 1)), ("2-8", (2, 8))])
def test_replicas(written, expected):
    assert replica_range(written) == expected


def test_an_application_is_built_of_a_configs_arguments(library, monkeypatch):
    monkeypatch.delenv("CINESCRIBE_API_KEYS", raising=False)
    assert build(Arguments.model_validate({"root": str(library), "replicas": "1-4"}))
    with pytest.raises(ValidationError):
        Arguments.model_validate({"root": str(library), "replica": "1"})
    with pytest.raises(UsageError, match="API key"):
        build(Arguments(root=str(library), keys_file="/dev/null"))
