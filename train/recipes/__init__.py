"""The recipes by name, each file one system's."""

import importlib
from collections.abc import Mapping
from typing import Any

from cinescribe.errors import UsageError
from train.recipe import Recipe

# What each fits, and the class that does it.
RECIPES = {
    "tan-stage1": ("sentences to seconds, first stage (TAN)", "train.recipes.tan:FirstStage"),
    "tan-stage2": ("co-training, from a folder of stage 1 (TAN)", "train.recipes.tan:SecondStage"),
    "autoad": ("audio description from frames and contexts (AutoAD)", "train.recipes.autoad:Described"),
    "autoad-text": ("AD text alone, the language model learns (AutoAD)", "train.recipes.autoad:TextAlone"),
    "autoad-visual": ("clips alone, without contexts (AutoAD)", "train.recipes.autoad:VisualAlone"),
    "ce": ("clips and captions by many experts (Collaborative Experts)", "train.recipes.ce:Retrieval"),
    "ce-lsmdc": ("the same with the settings of LSMDC", "train.recipes.ce:RetrievalLSMDC"),
    "ce-didemo": ("the same with the settings of DiDeMo", "train.recipes.ce:RetrievalDiDeMo"),
    "ce-msvd": ("the same with the settings of MSVD", "train.recipes.ce:RetrievalMSVD"),
    "ce-activitynet": ("the same, of ActivityNet Captions", "train.recipes.ce:RetrievalActivityNet"),
}


def kind(name: str) -> Any:
    """The class of a recipe; its `Options` are a dataclass.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    module, _, cls = RECIPES[name][1].partition(":")
    return getattr(importlib.import_module(module), cls)


def load(name: str, options: Mapping[str, Any]) -> Recipe:
    """A recipe with some of its options set."""
    cls = kind(name)
    recipe: Recipe = cls(cls.Options(**options))
    return recipe
