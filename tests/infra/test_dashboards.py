"""Dashboards and alerts ask for numbers that exist: those our code makes, and those Ray's own boards show."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from pipelines.metrics import METRICS
from serve.metrics import Metrics

INFRA = Path(__file__).parents[2] / "infra"
BOARDS = sorted((INFRA / "grafana").glob("*.json"))


def panels(board: Path) -> list[dict]:
    return [panel for panel in json.loads(board.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for board in BOARDS:
        for panel in panels(board):
            yield from ((f"{board.stem}: {panel['title']}", target["expr"]) for target in panel["targets"])
    rules = yaml.safe_load((INFRA / "prometheus" / "alerts.yml").read_text())
    for group in rules["groups"]:
        yield from ((rule["alert"], rule["expr"]) for rule in group["rules"])


def names_in(expression: str) -> set[str]:
    without_labels = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    return set(re.findall(r"\b(?:ray_|cinescribe_)\w+", without_labels))


@pytest.fixture(scope="module")
def served() -> set[str]:
    """What the service's /metrics has once a request was answered."""
    metrics = Metrics("replica")
    metrics.observe("/v1/search", "POST", 200, 0.1)
    lines = metrics.text(1, {"texts": 2}).decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}


@pytest.fixture(scope="module")
def rays() -> str:
    """The code of Ray's own boards, in the version that is installed."""
    boards = files("ray.dashboard.modules.metrics.dashboards")
    return "\n".join(file.read_text() for file in boards.iterdir() if file.name.endswith("_panels.py"))


def test_every_expression_asks_for_numbers_that_exist(served: set[str], rays: str) -> None:
    for where, expression in expressions():
        names = names_in(expression)
        assert names, where
        for name in names:
            ours = name.removeprefix("ray_") in METRICS if name.startswith("ray_") else name in served
            assert ours or re.search(rf"\b{name}\b", rays), f"{where}: nothing tells {name}"


def test_labels_of_our_metrics_are_those_they_have() -> None:
    known = {f"ray_{name}": set(kind.labels) for name, kind in METRICS.items()}
    for where, expression in expressions():
        for name, labels in re.findall(r"\b(ray_cinescribe_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)[=!]", labels)) <= known[name], where


def test_every_metric_of_ours_is_on_a_board(served: set[str]) -> None:
    shown = {name for _, expression in expressions() for name in names_in(expression)}
    assert {f"ray_{name}" for name in METRICS} <= shown
    families = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in served}
    told = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in shown}
    assert families <= told


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_a_board_can_be_imported(board: Path) -> None:
    content = json.loads(board.read_text())
    assert content["uid"]
    assert next(variable["name"] for variable in content["templating"]["list"]) == "datasource"
    ids = [panel["id"] for panel in content["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels(board):
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for word in re.findall(r"\$(\w+)", " ".join(target["expr"] for target in panel["targets"])):
            variables = {variable["name"] for variable in content["templating"]["list"]}
            assert word in variables | {"__range", "__rate_interval"}


def test_prometheus_reads_the_alerts_and_the_machines_that_ray_tells_of() -> None:
    content = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text())
    for name in content["rule_files"]:
        assert (INFRA / "prometheus" / name).exists()
    rays_own = files("ray.dashboard.modules.metrics.export.prometheus") / "prometheus.yml"
    (theirs,) = yaml.safe_load(rays_own.read_text())["scrape_configs"]
    ours = {job["job_name"]: job for job in content["scrape_configs"]}
    assert ours["ray"]["file_sd_configs"][0]["files"] == theirs["file_sd_configs"][0]["files"]
    service = ours["cinescribe-service"]
    assert service["metrics_path"] == "/metrics"
