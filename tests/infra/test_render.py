"""What is promised of the rendered files: they are taken, they forget nothing, and they open nothing."""

import importlib
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray import autoscaler
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve.schema import ServeDeploySchema

from cinescribe import cli
from infra import check, jobs, network, render, service, values
from serve.app import Arguments
from tests.infra import kuberay
from train import command as training
from train import recipes

ROOT = Path(__file__).parents[2]
VALUES = ROOT / "infra" / "values.yaml"
RAY_SCHEMA = Path(autoscaler.__file__).with_name("ray-schema.json")
PIPELINES = {"transcribe", "extract", "index", "align", "describe"}


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The rendered files of the values in the repository."""
    return render.render(values.read(VALUES))


@pytest.fixture(scope="module")
def manifests(files: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The same, read as Kubernetes reads them."""
    return {
        name: list(yaml.load_all(text, yaml.CSafeLoader))
        for name, text in files.items()
        if name.endswith(".yaml")
    }


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> check.Schemas:
    """KubeRay's, as far as we use it."""
    path = tmp_path_factory.mktemp("crds") / "kuberay.yaml"
    path.write_text(yaml.dump_all(kuberay.definitions()))
    return check.read_schemas([path])


def edited(**changes: Any) -> values.Values:
    """The values with some of them replaced, by dotted names with __ for dots."""
    written = yaml.safe_load(VALUES.read_text())
    for name, value in changes.items():
        *path, last = name.split("__")
        place = written
        for part in path:
            place = place[part]
        place[last] = value
    return values.Values.model_validate(written)


def ray_clusters(manifests: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Every Ray cluster in them, as the operator makes it of a job or service."""
    for documents in manifests.values():
        for document in documents:
            spec = document.get("spec", {})
            inner = spec.get("rayClusterSpec") or spec.get("rayClusterConfig")
            if inner or document.get("kind") == "RayCluster":
                yield {"metadata": document["metadata"], "spec": inner or spec}


def pods(node: Any) -> Iterator[dict[str, Any]]:
    """Every pod template, wherever it stands."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("template", "submitterPodTemplate"):
                yield value["spec"]
            yield from pods(value)
    elif isinstance(node, list):
        for value in node:
            yield from pods(value)


def test_kuberay_takes_every_resource_and_a_slip_would_be_seen(
    manifests: dict[str, list[dict[str, Any]]], schemas: check.Schemas
) -> None:
    custom = [doc for docs in manifests.values() for doc in docs if doc.get("apiVersion") == "ray.io/v1"]
    assert len(custom) == 2 + len(PIPELINES) + len(recipes.RECIPES)
    for document in custom:
        assert check.faults(document, schemas) == []
        assert len(document["metadata"]["name"]) <= 47  # KubeRay's limit
    (cluster,) = manifests["cluster.yaml"]
    slip = yaml.safe_load(yaml.safe_dump(cluster))
    slip["spec"]["workerGroupSpecs"][0]["maxReplica"] = 3
    (fault,) = check.faults(slip, schemas)
    assert "workerGroupSpecs[0]" in fault
    assert "maxReplica" in fault


# A schema that holds itself.
_ALIASES = """
kind: CustomResourceDefinition
spec:
  group: g
  names: {kind: K}
  versions: [{name: v1, schema: {openAPIV3Schema: &a {properties: {x: *a}}}}]
"""


def test_the_check_is_a_command(
    tmp_path: Path, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    crds, manifest, wrong = tmp_path / "crds.yaml", tmp_path / "ours.yaml", tmp_path / "wrong.yaml"
    crds.write_text(yaml.dump({"kind": "List", "items": kuberay.definitions()}))  # as kubectl tells them
    manifest.write_text(files["service.yaml"])
    wrong.write_text(files["service.yaml"].replace("NewCluster", "Soon"))
    assert check.main([str(manifest), "--crds", str(crds)]) == 0
    assert check.main([str(wrong), "--crds", str(crds)]) == 1
    told = capsys.readouterr().out
    assert "1 manifests checked, 0 faults" in told
    assert f"{wrong}: $.spec.upgradeStrategy.type: 'Soon'" in told
    assert check.main([str(manifest), "--crds", str(manifest)]) == 2  # no definitions in there
    for text in (
        "kind: CustomResourceDefinition",
        "items: 3",
        "a: 2026-99-99",
        "[" * 50_000 + "]" * 50_000,
        _ALIASES,
    ):
        wrong.write_text(text)
        assert check.main([str(manifest), "--crds", str(wrong)]) == 2
        assert str(wrong) in capsys.readouterr().err


def test_a_group_may_be_another_one_with_changes(tmp_path: Path) -> None:
    text, path = VALUES.read_text(), tmp_path / "values.yaml"
    path.write_text(
        text.replace("  cpu:\n", "  cpu: &cpu\n", 1).replace(
            "idle_seconds:",
            "  large: &large {<<: *cpu, cpus: 31}\n  larger: {<<: *large, cpus: 63}\nidle_seconds:",
            1,
        )
    )
    groups = values.read(path).groups
    assert [groups[name].cpus for name in ("cpu", "large", "larger")] == [15, 31, 63]
    assert groups["larger"].memory_gib == groups["cpu"].memory_gib


def test_rays_autoscaler_reads_the_groups_as_they_are_meant(
    manifests: dict[str, list[dict[str, Any]]],
) -> None:
    (cluster,) = manifests["cluster.yaml"]
    types = _derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0  # no work on the head
    assert {name: (kind["min_workers"], kind["max_workers"]) for name, kind in types.items()} == {
        "headgroup": (0, 0),
        "cpu": (0, 8),
        "gpu": (0, 4),
    }
    assert "GPU" not in types["cpu"]["resources"]
    assert (types["gpu"]["resources"]["GPU"], types["gpu"]["resources"]["CPU"]) == (1, 15)
    for group in types["cpu"], types["gpu"]:  # what Ray promises, and its store, fit into the pod
        assert 0.5 * 56 * 2**30 < group["resources"]["memory"] <= 0.9 * 56 * 2**30
    clusters = list(ray_clusters(manifests))
    assert len(clusters) == 2 + len(PIPELINES) + len(recipes.RECIPES)
    for other in clusters:
        kinds = _derive_autoscaling_config_from_ray_cr(other)["available_node_types"]
        assert kinds["headgroup"]["resources"]["CPU"] == 0
        # What computes has machines from the beginning; the cluster that waits for jobs may have none.
        if other["spec"] != cluster["spec"]:
            assert all(kind["min_workers"] >= 1 for name, kind in kinds.items() if name != "headgroup")


def test_every_pipeline_and_recipe_has_a_job_that_its_command_takes(
    manifests: dict[str, list[dict[str, Any]]], files: dict[str, str]
) -> None:
    made = {name: docs[0] for name, docs in manifests.items() if docs[0].get("kind") == "RayJob"}
    wanted = {f"jobs/{name}.yaml" for name in PIPELINES} | {
        f"training/{name}.yaml" for name in recipes.RECIPES
    }
    assert set(made) == wanted
    for name, job in made.items():
        words = shlex.split(job["spec"]["entrypoint"])
        assert words[:3] == ["python", "-m", "cinescribe.cli"]
        command, *arguments = words[3:]
        if command == "train":
            parsed = training.parser(arguments[0]).parse_args(arguments[1:])
            assert parsed.workers == (1, 1)  # one machine of one GPU
            assert Path(parsed.out).name == arguments[0] == Path(name).stem
        else:
            parsed = importlib.import_module(cli.COMMANDS[command][1]).parser().parse_args(arguments)
            assert parsed.workers >= 4  # so many as all machines have room for, not those of the beginning
            assert "s3://cinescribe-tables" in arguments
        script = files[f"submit/{Path(name).stem}.sh"]
        assert script.rstrip().endswith(job["spec"]["entrypoint"])
        assert subprocess.run(["sh", "-n"], input=script, text=True).returncode == 0


def test_a_recipe_with_several_machines_is_elastic_over_their_gpus() -> None:
    made = jobs.jobs(edited(training__machines={"least": 2, "most": 4}, groups__gpu__gpus=8))
    (ce,) = [job for job in made if job.name == "ce"]
    assert ce.entrypoint.endswith("--workers 16-32")


def test_serve_takes_its_config_and_each_part_scales_by_itself(
    manifests: dict[str, list[dict[str, Any]]],
) -> None:
    (config,) = manifests["serve.yaml"]
    assert yaml.safe_load(manifests["service.yaml"][0]["spec"]["serveConfigV2"]) == config
    (application,) = ServeDeploySchema.model_validate(config).applications
    module, _, name = application.import_path.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert Arguments(**application.args).root == "s3://cinescribe-tables"
    scaled = {part.name: part.autoscaling_config for part in application.deployments}
    assert set(scaled) == {"Ingress", "QueryEncoder", "Search"}  # and no Describer without a model
    assert (scaled["Search"]["min_replicas"], scaled["Search"]["max_replicas"]) == (1, 8)
    described = service.serve_config(edited(service__arguments={"describer": "/shared/runs/autoad/best"}))
    assert [part["name"] for part in described["applications"][0]["deployments"]][-1] == "Describer"


def test_ray_up_takes_its_config(manifests: dict[str, list[dict[str, Any]]]) -> None:
    (config,) = manifests["aws.yaml"]
    jsonschema.validate(config, json.loads(RAY_SCHEMA.read_text()))
    filled = prepare_config(config)  # as `ray up` fills in what is not said
    validate_config(filled)
    nodes = filled["available_node_types"]
    assert (nodes["gpu"]["max_workers"], nodes["cpu"]["max_workers"]) == (4, 8)
    assert nodes["gpu"]["docker"]["worker_image"].endswith("-gpu")
    assert nodes["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in nodes["head"]["node_config"]


def test_text_stays_text_for_every_reader_and_for_the_shell() -> None:
    words = ["1e3", "0o17", "1e-5", ".5e3", "y", "on", "NULL", "~", "2026-11-28", "12:30", "two words", ""]
    environment = {f"V{number}": word for number, word in enumerate(words)} | {"y": "$(id); 'x'"}
    files = render.render(edited(environment=environment))
    cluster = files["cluster.yaml"]
    for word in words:
        assert f'value: "{word}"' in cluster
    assert 'name: "y"' in cluster
    assert "kind: RayCluster" in cluster
    (config,) = yaml.load_all(files["aws.yaml"], yaml.CSafeLoader)
    options = shlex.split(" ".join(config["docker"]["run_options"]))  # as Ray joins them
    assert [f"--env={name}={value}" for name, value in environment.items()] == options[
        1 : len(environment) + 1
    ]


def test_no_secret_is_written_and_none_is_asked_for_that_is_not_named(
    manifests: dict[str, list[dict[str, Any]]],
) -> None:
    secret_words = ("KEY", "TOKEN", "SECRET", "PASSWORD")
    seen = set()
    for pod in pods(list(manifests.values())):
        for variable in pod["containers"][0].get("env", []):
            if any(word in variable["name"] for word in secret_words):
                seen.add((variable["name"], variable["valueFrom"]["secretKeyRef"]["name"]))
                assert "value" not in variable
    assert seen == {
        ("AWS_ACCESS_KEY_ID", "cinescribe-storage"),
        ("AWS_SECRET_ACCESS_KEY", "cinescribe-storage"),
    }
    holds_keys = {
        name
        for name, documents in manifests.items()
        for pod in pods(documents)
        for volume in pod.get("volumes", [])
        if "secret" in volume
    }
    assert holds_keys == {"service.yaml"}  # only the service's pods have its API keys
    bare = service.ray_service(edited(secrets={}, service_account="cinescribe-reader"))
    assert "secretKeyRef" not in str(bare)
    assert "secretName" not in str(bare)
    assert "keys_file" not in bare["spec"]["serveConfigV2"]
    assert {pod["serviceAccountName"] for pod in pods(bare)} == {"cinescribe-reader"}


def test_pods_are_without_rights_and_nothing_is_open(manifests: dict[str, list[dict[str, Any]]]) -> None:
    for pod in pods(list(manifests.values())):
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"] == container["resources"]["limits"]
    for cluster in ray_clusters(manifests):
        assert cluster["spec"]["authOptions"] == {"mode": "token"}
        assert cluster["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"
    kinds = {document.get("kind") for documents in manifests.values() for document in documents}
    assert kinds == {None, "Namespace", "NetworkPolicy", "RayCluster", "RayJob", "RayService"}
    ray, http = manifests["network.yaml"]
    assert [list(source) for source in ray["spec"]["ingress"][0]["from"]] == [
        ["podSelector"],
        ["namespaceSelector"],
    ]
    assert http["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 8000}]
    assert len(network.policies(edited(monitoring_namespace="monitoring"))) == 3


def test_a_redis_lets_heads_come_back_where_something_lasts(schemas: check.Schemas) -> None:
    of = edited(redis={"address": "redis://redis:6379", "password_secret": "redis"})
    lasting = service.ray_service(of)
    assert check.faults(lasting, schemas) == []
    assert "redis://redis:6379" in str(lasting)
    # A job is tried anew, on a cluster of its own.
    assert "redis" not in str(jobs.ray_job(of, jobs.jobs(of)[0]))


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        ("namespace: cinescribe", "namespace: Cine_scribe", "namespace: String should match"),
        ("idle_seconds: 300", "idle_second: 300", "idle_second: Extra inputs"),
        ("    cpus: 15", "    cpus: none", "groups.cpu.cpus: Input should be a valid integer"),
        ("machines: {least: 0, most: 8}", "machines: {least: 9, most: 8}", "groups.cpu.machines: least 9 is"),
        ("  group: cpu\n", "  group: disk\n", "service: no group 'disk'; there are: cpu, gpu"),
        ("--profile, paper", "--profil, papers", "pipelines.transcribe.arguments: cinescribe transcribe:"),
        ("    autoad: [", "    autoat: [", "training.arguments: no autoat; there are: tan-stage1"),
        ("[--videos, ", "[--fps, many, --videos, ", "training.arguments.s3d-end-to-end: cinescribe train"),
        ("  index: {", "  indexx: {", "pipelines: no indexx"),
        ("    Search: {", "    Find: {", "service.deployments: no Find; there are: Ingress, QueryEncoder"),
        ('    describer: ""', "    describe: x", "service.arguments.describe: Extra inputs"),
        ("    image: gpu", "    image: cpu", "groups.gpu: a group with gpus needs image: gpu"),
        ("transcribe: {group: gpu, machines: {least: 1", "transcribe: {group: gpu, machines: {least: 0",
         "pipelines.transcribe: machines: least must be 1"),
        ("  cpu:\n    image", "  head:\n    image", "groups.head: the machine that schedules"),
        ("  AWS_DEFAULT_REGION:", "  A;B:", "environment: 'A;B' is no name of a variable"),
        ("  AWS_DEFAULT_REGION:", "  RAY_AUTH_MODE:", "environment.RAY_AUTH_MODE: is set by the files"),
        ("  AWS_DEFAULT_REGION:", "  CINESCRIBE_API_KEYS:", "belongs into the secret 'cinescribe-keys'"),
        ("eu-central-1", "x\n  AWS_ENDPOINT_URL: http://me:secret@host", "AWS_ENDPOINT_URL: an address with"),
        ('  address: ""', "  address: redis://:secret@host:6379", "redis: address: leave the password out"),
        ("cpu, machines: {least: 1, most: 4}, arguments", "cpu, machines: {least: 1, most: 99999}, arguments",
         "pipelines.index.machines.most: Input should be less"),
        ("from_namespaces: []", "from_namespaces: [A B]", "service.from_namespaces.0: String should match"),
        ("tolerations: []", "tolerations: [&a {key: *a}]", "groups.cpu.tolerations.0.key"),
        ("node_selector: {}", f"node_selector: {'[' * 2000}", "nested too deeply"),
        ("    cpus: 15", "    cpus: 15\n    cpus: 30", "'cpus' is said twice"),
    ],
)  # fmt: skip
def test_a_slip_in_the_values_is_told_by_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, instead: str, told: str
) -> None:
    text = VALUES.read_text()
    assert line in text
    path = tmp_path / "values.yaml"
    path.write_text(text.replace(line, instead, 1))
    assert render.main(["--values", str(path), "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert f"{path}: " in message
    assert told in message
    assert "secret@" not in message
    assert not (tmp_path / "out").exists()


def test_the_command_writes_the_files(
    tmp_path: Path, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert render.main(["--values", str(VALUES), "--out", str(tmp_path / "out")]) == 0
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert written == set(files)
    assert f"{len(files)} files" in capsys.readouterr().out
    taken = tmp_path / "out" / "network.yaml"  # a file, where a folder is wanted
    assert render.main(["--values", str(VALUES), "--out", str(taken)]) == 2
    assert str(taken) in capsys.readouterr().err
