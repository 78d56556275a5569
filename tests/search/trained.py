"""Tiny trained models' folders with random weights, and features of films for them."""

from pathlib import Path

import numpy as np
import torch

from cinescribe import tables
from cinescribe.encoders.experts import Expert
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.media.library import FilmRef
from cinescribe.models import collaborative_experts_files, jsfusion_files, prompting_clip_files
from cinescribe.models.collaborative_experts import CEConfig, CollaborativeExperts, ExpertConfig, TextConfig
from cinescribe.models.collaborative_experts_files import SavedCE
from cinescribe.models.jsfusion import JSFusion, JSFusionConfig
from cinescribe.models.jsfusion_files import SavedJSFusion
from cinescribe.models.prompted_text import fresh_text
from cinescribe.models.prompting_clip import PromptingCLIP, PromptingCLIPConfig
from cinescribe.models.vocabulary import Vocabulary

EXPERTS = (Expert("place", "place", 8), Expert("deed", "deed", 8, tokens=4))


def save_experts(folder: Path, seed: int = 0, width: int = 16) -> Path:
    """A Collaborative Experts that reads features/place and features/deed."""
    torch.manual_seed(seed)
    experts = (ExpertConfig("place", 8), ExpertConfig("deed", 8, clusters=2, tokens=4))
    config = CEConfig(experts, TextConfig(50, clusters=2, tokens=8), width)
    saved = SavedCE(CollaborativeExperts(config), "glove-6b-50d", EXPERTS)
    collaborative_experts_files.save(saved, folder)
    return folder


def save_prompting(folder: Path, features: str = "place", hz: float = 1.0) -> Path:
    """A Prompting CLIP with a text half of its own, of features of 8 numbers."""
    torch.manual_seed(0)
    model = PromptingCLIP(fresh_text(8, 16, 1, 2), PromptingCLIPConfig(frames=4, layers=1))
    prompting_clip_files.save(model, folder, prompting_clip_files.Inputs(features, hz))
    return folder


def save_jsfusion(folder: Path, features: tuple[str, ...] = ("place", "deed")) -> Path:
    """A JSFusion that knows six words and reads features of 8 numbers, so and so many side by side."""
    torch.manual_seed(0)
    vocabulary = Vocabulary(["a", "door", "opens", "rain", "the", "woman"])
    config = JSFusionConfig(
        video_width=8 * len(features),
        word_width=8,
        frames=8,
        words=8,
        hidden=8,
        joint=8,
        attention=8,
        fusion=8,
        channels=8,
        dense=(8, 8, 8),
    )
    saved = SavedJSFusion(JSFusion(config, len(vocabulary)), vocabulary, "retrieval", features, 1.0)
    jsfusion_files.save(saved, folder)
    return folder


def write_features(root: str, table: str, film_id: str, seconds: int, seed: int, lacking: int = 0) -> None:
    """Random features of a film, one a second; NaN in its first `lacking` seconds."""
    seen = np.random.default_rng(seed).standard_normal((seconds, 8)).astype(np.float16)
    seen[:lacking] = np.nan
    film = FilmRef(film_id, f"/films/{film_id}.mp4", 1, "1")
    row = tables.feature_row(
        film, (0, 0.0, float(seconds)), EncoderSpec(table, 1.0, 8), 0, seen, {table: "test"}
    )
    tables.write_row(root, f"features/{table}", film_id, row, chunk=0)
