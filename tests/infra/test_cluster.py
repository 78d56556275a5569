"""The rendered files for real: a job and the service, on a Ray cluster of two nodes."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml

from cinescribe.media.library import list_films
from cinescribe.search.store import Store
from infra import render, values
from tests.media.films import tone, write_film
from tests.serve.library import SPOKEN, write_rows

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DASHBOARD = "http://127.0.0.1:28265"
TOKEN = "of-this-test-" + "0" * 32


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of two films that nobody has indexed."""
    folder = tmp_path_factory.mktemp("library")
    for film_id in SPOKEN:
        path = folder / "films" / f"{film_id}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_film(path, frames=175, size=(64, 36), audio=tone(7.0, 48000, level=0.1))
    for film in list_films([str(folder / "films")]):
        write_rows(folder / "tables", film)
    return folder / "tables"


@pytest.fixture(scope="module")
def rendered(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files rendered for them, of machines as small as this one."""
    written = yaml.safe_load((ROOT / "infra" / "values.yaml").read_text())
    written["storage"]["tables"] = str(tables)
    written["groups"]["cpu"] |= {"cpus": 2, "memory_gib": 4}
    written["pipelines"]["index"]["machines"] = {"least": 1, "most": 1}
    written["secrets"]["service_keys"] = ""
    written["service"]["arguments"] = {"refresh": 1.0}
    folder = tmp_path_factory.mktemp("rendered")
    for name, text in render.render(values.Values.model_validate(written)).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def environment(rendered: Path) -> Iterator[dict[str, str]]:
    """A head that computes nothing and a machine of the group `cpu`; yields a person's environment."""
    (manifest,) = yaml.safe_load_all((rendered / "service.yaml").read_text())
    (container,) = manifest["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"]
    shell = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    shell |= {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    del shell["CINESCRIBE_WEIGHTS"]  # there is no such bucket
    shell |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_API_SERVER_ADDRESS": DASHBOARD}
    shell |= {"PATH": f"{Path(sys.executable).parent}:{shell['PATH']}", "OMP_NUM_THREADS": "1"}
    folder = Path(f"/tmp/cinescribe-infra-{os.getpid()}")  # sockets have short names
    common = ["ray", "start", "--block", "--disable-usage-stats", "--object-store-memory=100000000"]
    head = ["--head", "--port=26379", "--num-cpus=0", "--dashboard-port=28265", f"--temp-dir={folder}"]
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        for own, port in (
            ([*head, "--dashboard-agent-listen-port=28266"], 26379),
            (["--address=127.0.0.1:26379", "--num-cpus=2", "--dashboard-agent-listen-port=28267"], 28267),
        ):
            nodes.append(subprocess.Popen([*common, *own], env=shell, stdout=subprocess.DEVNULL))
            _wait_for(partial(_listens, port))
        yield shell
    finally:
        # At once: asked to end, Ray takes half a minute.
        ours = [process for node in nodes for process in psutil.Process(node.pid).children(recursive=True)]
        for process in [*nodes, *ours]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for node in nodes:
            node.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(happens: Callable[[], bool], seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.2)


def test_a_submitted_job_and_the_deployed_service_do_their_work(
    environment: dict[str, str], rendered: Path, tables: Path
) -> None:
    # The script, run where it says: in the repository, whose code it sends.
    script = ["sh", str(rendered / "submit" / "index.sh")]
    for _ in range(60):  # the job server comes up after the head, and what runs the jobs after that
        ended = subprocess.run(script, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=300)
        told = ended.stdout + ended.stderr
        if "Failed to connect" not in told and "No available agent" not in told:
            break
        time.sleep(1)
    assert ended.returncode == 0, told
    assert len(Store(str(tables)).films()) == len(SPOKEN)

    config = yaml.safe_load((rendered / "serve.yaml").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    config["proxy_location"] = "HeadOnly"  # both nodes are one machine, which has each port once
    (rendered / "serve.yaml").write_text(yaml.safe_dump(config))
    deploy = ["serve", "deploy", str(rendered / "serve.yaml"), "--address", DASHBOARD]
    deployed = subprocess.run(deploy, env=environment, text=True, capture_output=True, timeout=120)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr

    answer = _asked(f"http://127.0.0.1:{port}/v1/search", "the dog")
    assert answer["moments"][0]["film_id"] == "series one/Kitchen"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    status = requests.get(f"{DASHBOARD}/api/serve/applications/", headers=headers, timeout=30).json()
    parts = status["applications"]["cinescribe"]["deployments"]
    scaled = {name: part["deployment_config"]["autoscaling_config"] for name, part in parts.items()}
    meant = {part["name"]: part["autoscaling_config"] for part in config["applications"][0]["deployments"]}
    for name, scaling in meant.items():
        assert {key: scaled[name][key] for key in scaling} == scaling
    # Without the token nobody sends a job, which would be run as it is.
    assert requests.get(f"{DASHBOARD}/api/jobs/", timeout=30).status_code == 401


def _asked(address: str, text: str) -> dict[str, Any]:
    """The first answer that is one; until then the service starts."""
    answers: list[dict[str, Any]] = []

    def answered() -> bool:
        try:
            reply = requests.post(address, json={"text": text}, timeout=30)
        except (requests.ConnectionError, requests.Timeout):
            return False
        if reply.status_code == 200:
            answers.append(reply.json())
        return bool(answers)

    _wait_for(answered)
    return answers[0]
