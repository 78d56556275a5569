"""What the classes of ImageNet-1k and Kinetics-400 are called, in the order of the networks' outputs.

Read from the files of timm and torchvision without importing them, which would import torch.
"""

import ast
import importlib.util
from functools import cache
from pathlib import Path

from cinescribe.errors import WeightsError

# Classes whose first names are the same word; timm's definitions tell them apart.
_DISTINGUISHED = {134: "crane bird", 517: "construction crane", 639: "tank suit"}


@cache
def imagenet() -> tuple[str, ...]:
    """The 1000 classes of ImageNet-1k by the first of their WordNet names, all different."""
    lemmas = _by_synset("imagenet_synset_to_lemma.txt")
    first = [lemmas[synset].partition(",")[0] for synset in _synsets()]
    return tuple(_DISTINGUISHED.get(i, name) for i, name in enumerate(first))


@cache
def imagenet_definitions() -> tuple[str, ...]:
    """All WordNet names of each class of ImageNet-1k with the definition: "crane: large long-necked ..."."""
    lemmas = _by_synset("imagenet_synset_to_lemma.txt")
    definitions = _by_synset("imagenet_synset_to_definition.txt")
    return tuple(f"{lemmas[synset]}: {definitions[synset]}" for synset in _synsets())


@cache
def kinetics400() -> tuple[str, ...]:
    """The 400 actions of Kinetics-400, in the alphabetical order of its networks."""
    module = ast.parse((_package("torchvision") / "models" / "_meta.py").read_text(encoding="utf-8"))
    (table,) = (
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_KINETICS400_CATEGORIES"
    )
    return tuple(table)


def _synsets() -> list[str]:
    return (_timm_data() / "imagenet_synsets.txt").read_text(encoding="utf-8").split()


def _by_synset(file: str) -> dict[str, str]:
    lines = (_timm_data() / file).read_text(encoding="utf-8").splitlines()
    return {synset: text.strip('"') for synset, _, text in (line.partition("\t") for line in lines)}


def _timm_data() -> Path:
    return _package("timm") / "data" / "_info"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise WeightsError(f"the package {name} is missing: install the locked dependencies (make setup)")
    return Path(spec.origin).parent
