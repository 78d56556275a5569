"""One writer of an index at a time, over processes and machines.

In a folder it is a lock of the file system, which ends with its process. On S3 it is an object that is only
written when there is none, says until when it holds, and is renewed while its writer lives; one that was not
renewed belongs to a writer that died, and is taken over.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cinescribe import storage

_NAME = "writer.lock"
LEASE = 60.0  # seconds that a lock on S3 holds without being renewed


@contextmanager
def writer_lock(uri: str, lease: float = LEASE) -> Iterator[None]:
    """Hold the lock of the index at `uri`; waits for another writer.

    Args:
        uri: the folder or `s3://` prefix of the index.
        lease: seconds after which a lock on S3 counts as left behind.
    """
    with _object(storage.join(uri, _NAME), lease) if storage.is_s3(uri) else _file(Path(uri) / _NAME):
        yield


@contextmanager
def _file(path: Path) -> Iterator[None]:
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _object(uri: str, lease: float) -> Iterator[None]:
    owner = f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex}"
    waited: dict[str, float] = {}  # when each state of another's lock was first seen, by our own clock
    tag = ""
    while not tag:
        found, held = storage.read_tagged(uri)
        free = not held or not json.loads(found)
        if free or time.monotonic() - waited.setdefault(held, time.monotonic()) > lease:
            tag = storage.write_if(uri, json.dumps({"owner": owner}).encode(), held)
        if not tag:
            time.sleep(min(0.5, lease / 5))
    ended, tags = threading.Event(), [tag]

    def renew() -> None:
        beat = 0
        while not ended.wait(lease / 4):
            beat += 1
            content = json.dumps({"owner": owner, "beat": beat}).encode()
            tags[0] = storage.write_if(uri, content, tags[0]) or tags[0]

    thread = threading.Thread(target=renew, name="index lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        storage.write_if(uri, b"{}", tags[0])  # free; not deleted, for only writes can be conditional
