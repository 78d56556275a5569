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
    "tan-breakfast": (
        "ordered actions to seconds, by soft-DTW (TAN on Breakfast)",
        "train.recipes.tan_breakfast:Breakfast",
    ),
    "s3d-end-to-end": (
        "S3D on clips and texts that TAN aligned, end to end",
        "train.recipes.s3d_end_to_end:EndToEnd",
    ),
    "autoad": ("audio description from frames and contexts (AutoAD)", "train.recipes.autoad:Described"),
    "autoad-text": ("AD text alone, the language model learns (AutoAD)", "train.recipes.autoad:TextAlone"),
    "autoad-visual": ("clips alone, without contexts (AutoAD)", "train.recipes.autoad:VisualAlone"),
    "prompting-clip": ("actions by prompts of a frozen CLIP", "train.recipes.prompting_clip:Recognition"),
    "prompting-clip-retrieval": ("the same for sentences", "train.recipes.prompting_clip:Retrieval"),
    "ce": ("clips and captions by many experts (Collaborative Experts)", "train.recipes.ce:Retrieval"),
    "ce-lsmdc": ("the same with the settings of LSMDC", "train.recipes.ce:RetrievalLSMDC"),
    "ce-didemo": ("the same with the settings of DiDeMo", "train.recipes.ce:RetrievalDiDeMo"),
    "ce-msvd": ("the same with the settings of MSVD", "train.recipes.ce:RetrievalMSVD"),
    "ce-activitynet": ("the same, of ActivityNet Captions", "train.recipes.ce:RetrievalActivityNet"),
    "jsfusion-retrieval": ("clips to sentences, pair by pair (JSFusion)", "train.recipes.jsfusion:Retrieval"),
    "jsfusion-choice": ("the same, to choose among five sentences", "train.recipes.jsfusion:Choice"),
    "jsfusion-fill-in": ("the word that a sentence lacks (JSFusion)", "train.recipes.jsfusion:FillIn"),
    "ct-san": ("sentences for clips, by concept words (CT-SAN)", "train.recipes.ct_san:Describing"),
    "ct-san-fill-in": ("the word that a sentence lacks (CT-SAN)", "train.recipes.ct_san:FillingIn"),
    "ct-san-choice": ("one of five sentences for a clip (CT-SAN)", "train.recipes.ct_san:Choosing"),
    "ct-san-retrieval": ("clips to sentences (CT-SAN)", "train.recipes.ct_san:Retrieving"),
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
