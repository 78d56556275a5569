import multiprocessing
import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from urllib3 import HTTPResponse

from cinescribe import storage
from cinescribe.errors import MediaError, UsageError
from cinescribe.media.cache import FilmCache

MB = 1_000_000


class Counted:
    """An S3 client that counts its downloads."""

    def __init__(self, client):
        self.client, self.downloads = client, 0

    def __getattr__(self, name):
        if name == "download_fileobj":
            self.downloads += 1
        return getattr(self.client, name)


def _put(client, key, body):
    client.put_object(Bucket="films", Key=key, Body=body)
    return f"s3://films/{key}"


def _films(folder):
    return [path for path in Path(folder).iterdir() if not path.name.startswith(".")]


def test_a_film_is_fetched_once_and_kept(bucket, tmp_path):
    client = Counted(bucket)
    uri = _put(bucket, "a b/100% #1 ü.mp4", b"x" * MB)
    cache = FilmCache(tmp_path / "cache", 10 * MB, client)
    for _ in range(3):
        with cache.local(uri) as path:
            assert path.read_bytes() == b"x" * MB
            assert path.suffix == ".mp4"
    assert client.downloads == 1


def test_local_paths_pass_through(tmp_path):
    cache = FilmCache(tmp_path / "cache", MB)
    film = tmp_path / "a #1.mp4"
    for uri in (str(film), film.as_uri()):
        with cache.local(uri) as path:
            assert path == film
    assert not (tmp_path / "cache").exists()


def test_a_changed_object_is_fetched_anew(bucket, tmp_path):
    cache = FilmCache(tmp_path, 10 * MB, bucket)
    with cache.local(_put(bucket, "a.mp4", b"old")) as old:
        with cache.local(_put(bucket, "a.mp4", b"new!")) as new:
            assert new.read_bytes() == b"new!"
        assert old.read_bytes() == b"old"  # still whole under whoever reads it


def test_the_least_recently_used_goes_first_and_none_in_use(bucket, tmp_path):
    (tmp_path / "mine.txt").write_text("not the cache's")
    client = Counted(bucket)
    cache = FilmCache(tmp_path, int(2.5 * MB), client)
    one, two, three = (_put(bucket, f"{k}.mp4", bytes([k]) * MB) for k in (1, 2, 3))
    for uri in (one, two, one):
        with cache.local(uri) as path:
            os.utime(path, ns=(time.time_ns(), time.time_ns()))
    with cache.local(two) as held, cache.local(three):  # two is the older, but held
        assert held.read_bytes() == b"\2" * MB
        assert sum(path.stat().st_size for path in _films(tmp_path)) <= 2.5 * MB
    assert client.downloads == 3
    with cache.local(two):
        assert client.downloads == 3
    with cache.local(one):
        assert client.downloads == 4
    assert (tmp_path / "mine.txt").exists()


def test_a_film_larger_than_the_bound_is_taken_alone(bucket, tmp_path):
    cache = FilmCache(tmp_path, MB, bucket)
    with cache.local(_put(bucket, "small.mp4", b"x" * 1000)):
        pass
    with cache.local(_put(bucket, "big.mp4", b"x" * 2 * MB)) as path:
        assert path.stat().st_size == 2 * MB
        assert _films(tmp_path) == [path]
    with cache.local("s3://films/small.mp4") as path:
        assert _films(tmp_path) == [path]


def _use(folder, uri, size, results):
    client = Counted(boto3.client("s3"))
    with FilmCache(folder, 10 * MB, client).local(uri) as path:
        results.put((client.downloads, path.stat().st_size == size))


def test_many_processes_make_one_download(bucket, tmp_path):
    uri = _put(bucket, "a.mp4", b"x" * 5 * MB)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_use, args=(tmp_path, uri, 5 * MB, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert all(whole for _, whole in answers)
    assert sum(downloads for downloads, _ in answers) == 1


_KILLED = """
import sys, time
from pathlib import Path
import boto3
from cinescribe.media.cache import FilmCache

class Stuck:
    def __init__(self, client): self.client = client
    def __getattr__(self, name): return getattr(self.client, name)
    def download_fileobj(self, bucket, key, file):
        file.write(b"half"); file.flush(); print("downloading", flush=True); time.sleep(600)

with FilmCache(Path(sys.argv[1]), 10**7, Stuck(boto3.client("s3"))).local(sys.argv[2]): pass
"""


def test_a_killed_process_blocks_nobody(bucket, tmp_path):
    uri = _put(bucket, "a.mp4", b"x" * MB)
    worker = subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path), uri], stdout=subprocess.PIPE)
    assert worker.stdout.readline() == b"downloading\n"
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    assert len(_films(tmp_path)) == 1  # the half-written part
    with FilmCache(tmp_path, 10 * MB, bucket).local(uri) as path:
        assert path.read_bytes() == b"x" * MB
        assert _films(tmp_path) == [path]


def test_a_change_during_the_download_is_seen(bucket, tmp_path):
    class Changing(Counted):
        def download_fileobj(self, name, key, file):
            self.downloads += 1
            self.client.download_fileobj(name, key, file)
            if self.downloads == 1:
                _put(self.client, key, b"new content")

    uri = _put(bucket, "a.mp4", b"old content!")
    with FilmCache(tmp_path, MB, Changing(bucket)).local(uri) as path:
        assert path.read_bytes() == b"new content"
        assert _films(tmp_path) == [path]


def test_what_is_missing_says_so_without_secrets(bucket, tmp_path, monkeypatch):
    cache = FilmCache(tmp_path, MB)
    for uri, says in (("s3://films/none.mp4", "no such object"), ("s3://other/a.mp4", "or bucket")):
        with pytest.raises(MediaError, match=says) as caught, cache.local(uri):
            pass
        assert caught.value.kind == "missing"
        assert uri in str(caught.value)
        assert "very-secret" not in str(caught.value)
    with pytest.raises(UsageError, match="bucket"), cache.local("s3:///a.mp4"):
        pass
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    storage.s3_client.cache_clear()
    with pytest.raises(MediaError, match="no credentials"), FilmCache(tmp_path, MB).local("s3://films/a.mp4"):
        pass


def test_a_store_that_breaks_off_in_the_middle_says_so(bucket, tmp_path):
    uri = _put(bucket, "f.mp4", b"x" * MB)
    bucket.meta.events.register("before-send.s3.GetObject", lambda **_: _half_of(MB))
    cache = FilmCache(tmp_path / "cache", 10 * MB, bucket)
    with pytest.raises(MediaError, match="S3 refused or broke off") as raised, cache.local(uri):
        pass
    assert raised.value.kind == "missing"


def _half_of(size):
    """An answer that ends too early."""
    raw = HTTPResponse(BytesIO(b"x" * (size // 2)), preload_content=False)
    headers = {"Content-Length": str(size), "ETag": '"a"'}
    return AWSResponse("", 200, headers, raw)
