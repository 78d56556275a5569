"""The one file a person edits, read and checked; `infra/values.yaml` is an example with comments."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cinescribe.errors import UsageError

Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
# Jobs add the name of their recipe to it, and KubeRay takes 47 characters in all.
ShortName = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,19}[a-z0-9])?$")]
# The name of a secret or a claim that somebody made, or "" where it is not needed.
MaybeName = Annotated[str, Field(pattern=r"^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?)?$")]
_Whole = Annotated[int, Field(ge=1, le=2**31 - 1)]
_Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
_Image = Annotated[str, Field(pattern=r"^\S+$")]
_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s]*@")  # in an address
# What the files set themselves, and where it is said instead.
_OWN = {
    "CINESCRIBE_WEIGHTS": "say it as storage.weights",
    "RAY_AUTH_MODE": "clusters always ask for their token",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "it names the service's own checks of requests",
}
# What the secrets hold, by their entry.
_HELD = {
    "storage": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "hub": ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    "service_keys": ("CINESCRIBE_API_KEYS",),
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Images(_Strict):
    """The two images, and the secret that a private registry asks for."""

    cpu: _Image
    gpu: _Image
    pull_secret: MaybeName = ""


class Storage(_Strict):
    """Folders and s3:// prefixes that every machine sees."""

    films: Annotated[list[str], Field(min_length=1)]
    tables: Annotated[str, Field(min_length=1)]
    training: Annotated[str, Field(min_length=1)]
    runs: Annotated[str, Field(min_length=1)]
    weights: str = ""


class Volume(_Strict):
    """A volume that all machines mount."""

    claim: MaybeName = ""
    path: Annotated[str, Field(pattern="^/.+")] = "/shared"


class Secrets(_Strict):
    """Names of secrets; what they hold is never here."""

    storage: MaybeName = ""
    hub: MaybeName = ""
    service_keys: MaybeName = ""


class Range(_Strict):
    """So many machines or replicas, as there is work."""

    least: Annotated[int, Field(ge=0)]
    most: Annotated[int, Field(ge=1, le=10_000)]

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.least > self.most:
            raise ValueError(f"least {self.least} is more than most {self.most}")
        return self


class Head(_Strict):
    """The machine that schedules."""

    cpus: _Whole
    memory_gib: Annotated[int, Field(ge=4)]
    disk_gib: _Whole
    instance: str


class Group(_Strict):
    """Machines of one kind."""

    image: Literal["cpu", "gpu"]
    cpus: _Whole
    memory_gib: Annotated[int, Field(ge=4)]
    disk_gib: _Whole
    instance: str
    machines: Range
    gpus: Annotated[int, Field(ge=0)] = 0
    spot: bool = False
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, str | int]] = []

    @model_validator(mode="after")
    def _image_has_what_gpus_need(self) -> "Group":
        if self.gpus and self.image != "gpu":
            raise ValueError("a group with gpus needs image: gpu")
        return self


class Redis(_Strict):
    """What lets a head die and come back."""

    address: str = ""
    password_secret: MaybeName = ""

    @model_validator(mode="after")
    def _password_is_named(self) -> "Redis":
        if _PASSWORD.search(self.address):
            raise ValueError("address: leave the password out; password_secret names the secret that has it")
        return self


class Work(_Strict):
    """Machines of one group that something runs on."""

    group: str
    machines: Range

    @model_validator(mode="after")
    def _has_a_machine(self) -> "Work":
        if not self.machines.least:
            raise ValueError("machines: least must be 1 or more; a run looks at the machines that are there")
        return self


class Pipeline(Work):
    """A pipeline, and what it is told beside its inputs and outputs."""

    arguments: list[str] = []


class Training(Work):
    """The trainings, and what each recipe is told beside its data and its folder."""

    arguments: dict[str, list[str]] = {}


class Jobs(_Strict):
    """How jobs are tried and ended."""

    tries: _Whole = 3
    hours: Annotated[int, Field(ge=1, le=100_000)] = 72
    keep_seconds: Annotated[int, Field(ge=0)] = 600


class Replicas(Range):
    """How a part of the service scales: `ongoing` requests are what one replica is meant to have at work."""

    least: _Whole
    ongoing: _Whole


class Service(Work):
    """The service; `arguments` are checked by `serve.app.Arguments`."""

    from_namespaces: list[_Namespace] = []
    arguments: dict[str, Any] = {}
    deployments: dict[str, Replicas]


class Aws(_Strict):
    """A cluster on AWS without Kubernetes."""

    region: str
    ssh_user: str = "ubuntu"
    machine_image: str
    instance_profile: str


class Values(_Strict):
    """All of it; see the comments of `infra/values.yaml`."""

    name: ShortName
    namespace: Name
    operator_namespace: Name
    monitoring_namespace: MaybeName = ""
    images: Images
    storage: Storage
    volume: Volume = Volume()
    secrets: Secrets = Secrets()
    service_account: MaybeName = ""
    environment: dict[str, str] = {}
    head: Head
    groups: Annotated[dict[ShortName, Group], Field(min_length=1)]
    idle_seconds: _Whole = 300
    redis: Redis = Redis()
    jobs: Jobs = Jobs()
    pipelines: dict[str, Pipeline]
    training: Training
    service: Service
    aws: Aws

    @model_validator(mode="after")
    def _groups_are_there(self) -> "Values":
        if "head" in self.groups:
            raise ValueError("groups.head: the machine that schedules has this name; give the group another")
        used: dict[str, Work] = {**self.pipelines, "training": self.training, "service": self.service}
        for what, work in used.items():
            if work.group not in self.groups:
                raise ValueError(f"{what}: no group {work.group!r}; there are: {', '.join(self.groups)}")
        return self

    @model_validator(mode="after")
    def _environment_is_the_users(self) -> "Values":
        for name, value in self.environment.items():
            if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"environment: {name!r} is no name of a variable: letters, digits and _")
            if name in _OWN:
                raise ValueError(f"environment.{name}: is set by the files themselves; {_OWN[name]}")
            if _PASSWORD.search(value):
                raise ValueError(
                    f"environment.{name}: an address with a password, which would stand in the files for "
                    "all to read; give it without"
                )
        for entry, names in _HELD.items():
            secret = getattr(self.secrets, entry)
            if secret and (written := [name for name in names if name in self.environment]):
                raise ValueError(
                    f"environment.{written[0]}: a secret, which would stand in the files for all to read; it "
                    f"belongs into the secret {secret!r} that secrets.{entry} names"
                )
        return self


class _Loader(yaml.SafeLoader):
    """YAML in which a mapping says each key once; PyYAML takes the last without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        said: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in said:
                    fault = f"{key.value!r} is said twice"
                    raise yaml.composer.ComposerError(None, None, fault, key.start_mark)
                said.add((key.tag, key.value))
        return node


def read(path: Path) -> Values:
    """The values of a file.

    Raises:
        UsageError: it can't be read, or says what can't be meant; the message tells the place in it.
    """
    try:
        written = _Loader(path.read_text("utf-8")).get_single_data()
    except RecursionError as error:
        raise UsageError("can't be read as YAML: nested too deeply") from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no UTF-8, or a date that isn't one
        raise UsageError(f"can't be read as YAML: {error}") from error
    try:
        return Values.model_validate(written)
    except ValidationError as error:
        raise UsageError(first_fault(error)) from error


def first_fault(error: ValidationError) -> str:
    """What is wrong, and where: `groups.gpu.cpus: Input should be greater than or equal to 1`."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
