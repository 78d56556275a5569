"""The folders of models: small ones of each kind, whose `config.json` is changed."""

import importlib
from collections.abc import Callable
from pathlib import Path

from cinescribe.models.folders import SETTINGS

FILE = SETTINGS


def load(name: str) -> Callable[[Path], object]:
    """What reads such a folder, given the path of its `config.json`."""
    return lambda path: importlib.import_module(f"cinescribe.models.{name}_files").load(path.parent)


def _tan(folder: Path) -> None:
    from cinescribe.models.tan import TANConfig, TANPair
    from cinescribe.models.tan_files import SavedTAN, save

    pair = TANPair(TANConfig(4, 4, 8, 2, 1, 1, longest=8), words=3)
    save(SavedTAN(pair, "fresh", ["cut", "pour"], "eye", 8), folder)


def _jsfusion(folder: Path) -> None:
    from cinescribe.models.jsfusion import JSFusion
    from cinescribe.models.jsfusion_files import SavedJSFusion, save
    from cinescribe.models.vocabulary import Vocabulary
    from tests.models.test_jsfusion import SMALL

    vocabulary = Vocabulary([f"word{k}" for k in range(30)])
    save(SavedJSFusion(JSFusion(SMALL, len(vocabulary)), vocabulary, "retrieval", ("a", "b"), 5.0), folder)


def _ce(folder: Path) -> None:
    from cinescribe.encoders.experts import Expert
    from cinescribe.models.collaborative_experts import CollaborativeExperts
    from cinescribe.models.collaborative_experts_files import SavedCE, save
    from tests.models.test_collaborative_experts import SMALL

    experts = [Expert(one.name, one.name, one.dim, one.tokens) for one in SMALL.experts]
    save(SavedCE(CollaborativeExperts(SMALL), "glove-6b-50d", experts), folder)


def _ct_san(folder: Path) -> None:
    from cinescribe.models.ct_san_files import SavedCTSAN, save
    from cinescribe.models.ct_san_tasks import build
    from cinescribe.models.vocabulary import Vocabulary
    from tests.models.test_ct_san import CONCEPTS, SMALL

    vocabulary = Vocabulary([f"word{k}" for k in range(8)])
    model = build("retrieval", SMALL, len(vocabulary), CONCEPTS)
    save(SavedCTSAN(model, "retrieval", vocabulary, ("maps",), 2.4), folder)


def _prompting_clip(folder: Path) -> None:
    from cinescribe.models.prompted_text import fresh_text
    from cinescribe.models.prompting_clip import PromptingCLIP, PromptingCLIPConfig
    from cinescribe.models.prompting_clip_files import Inputs, save

    config = PromptingCLIPConfig(prompts=2, frames=4, layers=1, heads=2)
    save(PromptingCLIP(fresh_text(8, width=8, layers=1), config), folder, Inputs("eye", 5.0))


WRITERS: dict[str, Callable[[Path], None]] = {
    "tan": _tan,
    "jsfusion": _jsfusion,
    "collaborative_experts": _ce,
    "ct_san": _ct_san,
    "prompting_clip": _prompting_clip,
}
"""Writes a folder of each kind of model."""
