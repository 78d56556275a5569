"""From trained models to a retrieval run: every caption of a test set against every clip of it."""

import importlib
import json
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage
from cinescribe.annotations import catalogue
from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import UsageError
from cinescribe.evaluation.run import Text, Video, encodable, write_run
from cinescribe.models.folders import SETTINGS

# The module of `cinescribe.models` that scores, by the entry of a model's config.json that tells its kind.
KINDS = {
    "collaborative_experts": "collaborative_experts_retrieval",
    "prompting_clip": "prompting_clip_retrieval",
    "jsfusion": "jsfusion_retrieval",
    "ct_san": "ct_san_retrieval",
    "tan": "tan_retrieval",
}


class Scorer(Protocol):
    """A trained model that tells how alike clips and texts are.

    Attributes:
        needs: what a clip must have to be seen, for messages.
    """

    needs: str

    def sees(self, clip: CaptionedClip) -> bool:
        """Whether there is something of the clip to look at."""

    def score(self, clips: Sequence[CaptionedClip], texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, clips], higher is more alike; clips that it sees, one or more of each."""


def write(
    models: Sequence[Path],
    data: str,
    annotations: str,
    annotations_at: str,
    split: str,
    out: Path,
    *,
    ensemble: bool = False,
    leave_out: bool = False,
) -> tuple[int, int]:
    """Score a split by each model, as the tables 0, 1, ... of a run.

    Args:
        models: folders that `cinescribe train` wrote.
        data: folder or `s3://` prefix with the tables that the models read.
        annotations: data set, see `cinescribe.annotations.catalogue`.
        annotations_at: folder of its files; "" for `data`.
        split: of it.
        out: folder of the run.
        ensemble: the models are one: there is a single table, the mean of theirs.
        leave_out: clips that the first model can't see are left out; else they are an error.

    Returns:
        How many clips were left out, and of how many.

    Raises:
        UsageError: a folder holds no model that searches; clips can't be seen or have no finite similarity;
            `out` holds another run.
        WeightsError: a model can't be had.
    """
    kinds = [_kind(folder) for folder in models]
    if len(set(kinds)) > 1 and not ensemble:
        told = " and ".join(f"{folder} ({kind})" for folder, kind in zip(models, kinds, strict=True))
        raise UsageError(f"several models are one at several seeds, but these are of several kinds: {told}")
    at = annotations_at or data
    if storage.is_s3(at):
        raise UsageError(f"{at}: annotations are read from a folder; give it as --annotations-at")
    listed = catalogue.load(annotations, at).clips(split)
    names = {f"similarity-{number}.safetensors" for number in range(1 if ensemble else len(models))}
    if others := sorted({path.name for path in out.glob("similarity*")} - names):
        raise UsageError(f"{out}: holds another run's {others[0]}; give a new folder as --out")
    clips, tables = list(listed), []
    for number, (folder, kind) in enumerate(zip(models, kinds, strict=True)):
        scorer: Scorer = importlib.import_module(f"cinescribe.models.{KINDS[kind]}").Scorer(folder, data)
        sees = [scorer.sees(clip) for clip in clips]
        if not all(sees):
            if number or not leave_out or not any(sees):
                if number:
                    advice = f"{models[0]} sees them: evaluate the two apart"
                else:
                    advice = "Extract them" + ", or score the others alone with --leave-out" * any(sees)
                unseen = f"{sees.count(False)} of {len(clips)} clips of {annotations} ({split})"
                missing = clips[sees.index(False)].video_id
                raise UsageError(
                    f"{folder} can't see {unseen}, such as of {missing}: they lack {scorer.needs} in {data}. "
                    f"{advice}"
                )
            clips = list(compress(clips, sees))
        texts = [
            Text(encodable(caption), video) for video, clip in enumerate(clips) for caption in clip.captions
        ]
        if not texts:
            raise UsageError(f"{annotations} ({split}): no captions, so there is nothing to search by")
        videos = [Video(clip.video_id, clip.start, clip.end) for clip in clips]
        table = scorer.score(clips, [text.text for text in texts])
        if len(wrong := np.flatnonzero(~np.isfinite(table).all(axis=0))):
            raise UsageError(
                f"{folder}: its similarities to {clips[wrong[0]].video_id} and {len(wrong) - 1} other clips "
                f"of {annotations} ({split}) are not finite numbers; extract {scorer.needs} of them again, "
                "or train the model again if it is so of all clips"
            )
        if not ensemble:
            write_run(out, table, texts, videos, number)
        else:
            tables.append(table)
    if ensemble:
        write_run(out, np.mean(tables, 0), texts, videos, 0)
    return len(listed) - len(clips), len(listed)


def _kind(folder: Path) -> str:
    """The key of `KINDS` for the model in a folder."""
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{folder}: no model there ({error}); give the folder best or last of a run of `cinescribe train`"
        ) from error
    kind = next((kind for kind in KINDS if isinstance(settings, dict) and kind in settings), None)
    if kind is None:
        raise UsageError(f"{folder}: not a model that searches; those are of {', '.join(KINDS)}")
    return kind
