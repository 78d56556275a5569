"""Files of any size at a local path or on S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cinescribe import storage
from cinescribe.errors import UsageError
from tests.s3 import s3_server


@pytest.fixture
def bucket() -> Iterator[str]:
    with s3_server("moved") as address:
        yield address


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_a_moved_file_is_there_whole_and_gone_here(tmp_path: Path, bucket: str, where: str) -> None:
    root = bucket if where == "s3" else str(tmp_path / "a folder")
    for content in (b"first" * 1000, b"second"):
        (tmp_path / "file").write_bytes(content)
        storage.move_file(tmp_path / "file", f"{root}/b c/file")
        assert storage.read_bytes(f"{root}/b c/file") == content
        assert not (tmp_path / "file").exists()


def test_a_bucket_that_is_not_there_is_told_and_the_file_stays(tmp_path: Path, bucket: str) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(UsageError, match="s3://other/file"):
        storage.move_file(tmp_path / "file", "s3://other/file")
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize("endpoint", ["me:secret@localhost:9000", "http://me:secret@local host"])
def test_an_endpoint_that_is_none_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    storage.s3_client.cache_clear()
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL must be") as told:
        storage.exists("s3://bucket/key")
    assert "secret" not in str(told.getrepr(chain=True, style="native"))
