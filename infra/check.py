"""`python -m infra.check FILE... --crds DIR`: manifests against the schemas that KubeRay publishes.

Kubernetes drops fields that a schema doesn't know without a word; here they are faults, as are wrong types,
missing fields and values out of range. The schemas are the operator's own, in its Helm chart's folder `crds/`
or from `kubectl get crd -o yaml`. Rules in CEL, which need the API server, are not looked at
(`kubectl apply --dry-run=server` does).
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from cinescribe.errors import CinescribeError, UsageError

Schemas = dict[tuple[str, str], dict[str, Any]]  # (apiVersion, kind) -> its schema, closed


def read_schemas(files: Iterable[Path]) -> Schemas:
    """The schemas of the custom resources that these files define.

    Raises:
        UsageError: there are none.
    """
    schemas: Schemas = {}
    for path in files:
        try:
            for document in _documents(path):
                items = document.get("items", [document])
                for crd in (item for item in items if item.get("kind") == "CustomResourceDefinition"):
                    spec = crd["spec"]
                    for version in spec["versions"]:
                        schema = _closed(version["schema"]["openAPIV3Schema"])
                        schemas[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"{path}: not definitions of custom resources ({error!r})") from error
    if not schemas:
        raise UsageError(
            "--crds: no custom resource definitions there; name the folder crds/ of KubeRay's chart"
        )
    return schemas


def _closed(schema: Any) -> Any:
    """A copy in which objects with known fields have no others."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    fields = schema.get("properties")
    # A field may be called "properties" itself; then its value is no mapping of schemas.
    is_object = schema.get("type") == "object" and isinstance(fields, dict)
    if is_object and "additionalProperties" not in schema:
        closed["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if closed.pop("nullable", False) and isinstance(closed.get("type"), str):
        closed["type"] = [closed["type"], "null"]
    return closed


def faults(document: dict[str, Any], schemas: Schemas) -> list[str]:
    """What is wrong with a manifest, each with its place; [] of kinds that the schemas don't have."""
    schema = schemas.get((str(document.get("apiVersion")), str(document.get("kind"))))
    if schema is None:
        return []
    try:
        errors = sorted(Draft202012Validator(schema).iter_errors(document), key=lambda error: error.json_path)
    except RecursionError:  # of aliases, which may make any depth of a few lines
        return ["$: nested too deeply"]
    return [f"{error.json_path}: {error.message}" for error in errors]


_DEEP = 200  # levels; schemas have tens, and at many thousands the loader's recursion ends the process


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text, depth = path.read_text("utf-8"), 0
        for event in yaml.parse(text, yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEP:
                raise UsageError(f"{path}: nested deeper than {_DEEP} levels, which no manifest is")
        documents = list(yaml.load_all(text, yaml.CSafeLoader))
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no UTF-8, or a date that isn't one
        raise UsageError(f"{path}: can't be read as YAML: {error}") from error
    yield from (document for document in documents if isinstance(document, dict))


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.yaml")) if path.is_dir() else [path]


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(
        prog="python -m infra.check", description="Manifests against the schemas that KubeRay publishes."
    )
    p.add_argument("manifests", nargs="+", type=Path, metavar="FILE", help="files, or folders of *.yaml")
    p.add_argument(
        "--crds", required=True, type=Path, metavar="DIR", help="the chart's folder crds/, or a file"
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Check the files; 0 when all are right, 1 when one is not, 2 when nothing could be checked."""
    arguments = parser().parse_args(argv)
    try:
        schemas = read_schemas(_files(arguments.crds))
        found = [
            (path, document) for given in arguments.manifests for path in _files(given)
            for document in _documents(path)
        ]  # fmt: skip
    except CinescribeError as error:
        print(f"infra.check: {error}", file=sys.stderr)
        return 2
    known = [
        (path, document)
        for path, document in found
        if (str(document.get("apiVersion")), str(document.get("kind"))) in schemas
    ]
    wrong = [f"{path}: {fault}" for path, document in known for fault in faults(document, schemas)]
    print("\n".join([*wrong, f"{len(known)} manifests checked, {len(wrong)} faults"]))
    return 1 if wrong else 0 if known else 2


if __name__ == "__main__":
    sys.exit(main())
