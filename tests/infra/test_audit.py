"""What the nightly audit says, by what `make audit` told it."""

import os
import subprocess
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
FOUND = """Found 1 known vulnerability in 1 package
Name  Version ID       Fix Versions
old   1.0     PYSEC-1  1.1"""


@pytest.mark.parametrize(
    ("told", "status", "code", "says"),
    [
        ("No known vulnerabilities found", 0, 0, "no weakness"),
        (FOUND, 2, 1, "old   1.0     PYSEC-1  1.1"),
        ("ERROR:pip_audit._cli:absl-py: Dependency not found and could not be audited", 2, 3, "not done"),
        ("ERROR: Connection refused", 2, 3, "not done"),
    ],
)
def test_findings_and_a_service_that_is_not_there_are_told_apart(
    tmp_path: Path, told: str, status: int, code: int, says: str
) -> None:
    make = tmp_path / "make"
    make.write_text(f"#!/bin/sh\ncat <<'END'\n{told}\nEND\nexit {status}\n")
    make.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    ended = subprocess.run([AUDIT], env={"PATH": path}, text=True, capture_output=True)
    assert ended.returncode == code
    assert told in ended.stdout
    assert says in ended.stdout
