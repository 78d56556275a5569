"""What TAN learns from: windows of how-to videos with the sentences spoken in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from cinescribe import storage, tables
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from train.recipe import Pick, Split
from train.splits import divide, read_json, told

UNKNOWN = "[UNK]"  # stands for the sentences of a window without any [code]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and when it is spoken, seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """Windows put together.

    Attributes:
        video: [batch, seconds, width] float32, zero where padded.
        video_padding: [batch, seconds] True where the video is over or nothing was seen.
        texts: the sentences of all windows, one window after the other.
        text_padding: [batch, sentences] True where there is no sentence.
        start, end: [batch, sentences] seconds of the window.
        place: [batch, sentences] middle of the sentence in the whole video, 0 to 1.
    """

    video: Tensor
    video_padding: Tensor
    texts: Sequence[str]
    text_padding: Tensor
    start: Tensor
    end: Tensor
    place: Tensor


class Windows:
    """Videos, of each of which a random window is shown.

    Args:
        videos: sentences by video, in order of time.
        features: of the videos, one a second.
        seconds: of a window.
    """

    def __init__(
        self, videos: Mapping[str, Sequence[Sentence]], features: FeatureStore, seconds: int
    ) -> None:
        self.ids = sorted(videos)
        self.videos, self.features, self._seconds = videos, features, seconds

    def __len__(self) -> int:
        return len(self.ids)

    def texts(self) -> list[str]:
        """All sentences."""
        return [sentence.text for film in self.ids for sentence in self.videos[film]]

    def batch(self, picks: Sequence[Pick]) -> WindowBatch:
        """A window of each video picked."""
        windows = [self._window(self.ids[pick.index], pick.seed) for pick in picks]
        longest = max(len(sentences) for _, sentences, _ in windows)
        shape = (len(windows), longest)
        padding = torch.ones(shape, dtype=torch.bool)
        start, end, place = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
        for row, (_, sentences, places) in enumerate(windows):
            count = len(sentences)
            padding[row, :count] = False
            start[row, :count] = torch.tensor([sentence.start for sentence in sentences])
            end[row, :count] = torch.tensor([sentence.end for sentence in sentences])
            place[row, :count] = torch.tensor(places)
        video, hidden = _stacked([video for video, _, _ in windows])
        texts = [sentence.text for _, sentences, _ in windows for sentence in sentences]
        return WindowBatch(video, hidden, texts, padding, start, end, place)

    def _window(self, film: str, seed: int) -> tuple[np.ndarray, list[Sentence], list[float]]:
        """Features of a window, its sentences in its own seconds, their places in the video."""
        array = seconds_of(self.features, film)
        first, sentences = cut(self.videos[film], len(array), self._seconds, np.random.default_rng(seed))
        places = [min(1.0, (first + (s.start + s.end) / 2) / len(array)) for s in sentences]
        return array[first : first + self._seconds], sentences, places


def cut(
    sentences: Sequence[Sentence], duration: int, seconds: int, random: np.random.Generator
) -> tuple[int, list[Sentence]]:
    """A window that begins with a random sentence, after the published loader.

    The sentence is one that starts a window before the last one's end. Times are rounded to whole seconds and
    cut at the window's end; sentences shorter than a second are left out. Where no sentence will do, the
    window holds "[UNK]" from its start to its end.

    Returns:
        The window's first second, and its sentences in seconds of the window.
    """
    inside = [sentence for sentence in sentences if sentence.end < duration]
    last = inside[-1].end if inside else 0.0
    starts = [number for number, sentence in enumerate(inside) if sentence.start < last - seconds]
    first, chosen = 0, list[Sentence]()
    if starts:
        number = starts[int(random.integers(len(starts)))]
        first = round(inside[number].start)
        for sentence in inside[number:]:
            start, end = round(sentence.start) - first, min(round(sentence.end) - first, seconds)
            if end - max(0, start) >= 1:
                chosen.append(Sentence(max(0, start), end, sentence.text))
    return first, chosen or [Sentence(0, min(seconds, duration), UNKNOWN)]


class HeldOut:
    """Videos with true spans, as HTM-Align has them: video -> [[alignable, start, end, text], ...]."""

    def __init__(self, truth: Mapping[str, Sequence[Sequence[object]]], features: FeatureStore) -> None:
        self.ids = sorted(truth)
        self.truth, self.features = truth, features

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, picks: Sequence[Pick]) -> NoReturn:
        """Raises TypeError: they are aligned whole, one by one, and never trained on."""
        raise TypeError("videos with true spans are held out: evaluate takes them, and no training")


def read(
    root: str, split: Split, *, features: str, window: int, longest: float, subtitles: str, align: str
) -> Windows | HeldOut:
    """The data under a root.

    Videos are those of `subtitles` (video -> {start, end, text}, as `cinescribe curate` writes it) or else of
    the table `speech`. Those of `align`, of other files `htm_align*.json`, and those that `splits.json` holds
    out are never trained on.

    Raises:
        UsageError: there is nothing to train on; the message says what was left out.
    """
    store = FeatureStore(root, features)
    truth = read_json(root, align)
    if split == "validation" and truth is not None:
        missing = sorted(film for film in truth if film not in store)
        if missing:
            raise UsageError(f"{len(missing)} videos of {align} have no features {features}: {missing[0]}")
        return HeldOut(truth, store)
    held_out = set(truth or {})
    for name in storage.list_names(root):
        if name.startswith("htm_align") and name.endswith(".json"):
            held_out |= set(read_json(root, name))
    videos = {film: said for film, said in _spoken(root, subtitles).items() if said and film in store}
    lengths = _lengths(root, store, sorted(videos))
    usable = {film: said for film, said in videos.items() if window < lengths[film] < longest}
    chosen = told(root, split)
    if chosen is None:
        held_share = divide(set(usable) - held_out, 0.05, 1000, split)  # as the published loader
        chosen = set(held_share) if truth is None else set(usable)
    kept = {film: said for film, said in usable.items() if film in chosen and film not in held_out}
    if not kept and split == "train":
        raise UsageError(
            f"{root}: no video to train on; {len(videos)} have speech and features {features}, {len(usable)} "
            f"of them are longer than a window of {window} s and shorter than {longest:g} s, and the rest is "
            "held out"
        )
    return Windows(kept, store, window)


def seconds_of(store: FeatureStore, film: str) -> np.ndarray:
    """float16 [seconds, width]. Raises UsageError when there is not one feature a second."""
    found = store.read(film)
    if found.hz != 1:
        raise UsageError(f"{film}: {found.hz:g} features a second, and TAN reads one; extract them with @1")
    return found.array


def _spoken(root: str, subtitles: str) -> dict[str, list[Sentence]]:
    found = read_json(root, subtitles)
    if found is not None:
        try:
            return {
                film: [
                    Sentence(float(start), float(end), str(text))
                    for start, end, text in zip(said["start"], said["end"], said["text"], strict=True)
                ]
                for film, said in found.items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f'{subtitles}: should be {{video: {{"start": [], "end": [], "text": []}}}} ({error!r})'
            ) from error
    return {
        row["film_id"]: [
            Sentence(line.start, line.end, line.text)
            for line in sorted(tables.utterances_of(row), key=lambda line: line.start)
            if line.text
        ]
        for row in tables.read_table(root, "speech").to_pylist()
    }


def _lengths(root: str, store: FeatureStore, films: Sequence[str]) -> dict[str, float]:
    """Seconds of each video: as the table `films` says, else of its features."""
    table = tables.read_table(root, "films")
    known = dict(zip(table["film_id"].to_pylist(), table["duration"].to_pylist(), strict=True))
    return {film: known[film] if film in known else len(store.read(film).array) for film in films}


def _stacked(videos: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """[batch, seconds, width] and where there is nothing."""
    longest = max(len(video) for video in videos)
    stacked = torch.zeros(len(videos), longest, videos[0].shape[1])
    hidden = torch.ones(len(videos), longest, dtype=torch.bool)
    for row, video in enumerate(videos):
        values = torch.from_numpy(video.astype(np.float32))
        seen = ~values.isnan().any(1)
        stacked[row, : len(video)] = torch.nan_to_num(values)
        hidden[row, : len(video)] = ~seen if bool(seen.any()) else False
    return stacked, hidden
