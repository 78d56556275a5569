"""Where a track lies in a film, in envelope frames (100 a second, nearly; times below are for 100).

Blocks of the track are found in the film by normalised cross-correlation; local windows refine the lags to a
fraction of a frame; a robust line through them gives offset and speed; a Viterbi path over the track says
where each line holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cinescribe.speech.envelopes import Floats, sample, smooth

SPEEDS = tuple(  # film seconds per track second: PAL either way, each also with NTSC's 1000/1001 either way
    family * ntsc for ntsc in (1.0, 1.001, 1 / 1.001) for family in (1.0, 25 / 24, 24 / 25)
)
MIN_CONFIDENCE = 0.3  # of a block, to count

_STEP = 5  # frames per coarse frame
_BLOCK = 6000  # frames of film looked for at once: short enough for 0.05 % of unknown drift
_CHANCE = 9.5  # over the root of a block's frames: correlation that other films may reach
_APART = 40  # coarse frames (2 s) from the best place to what counts as another
_SEGMENT = 1 << 14  # coarse frames per Fourier transform of the film
_PROBES = 12  # blocks that choose the speed
_UNUSUAL = 0.98  # on the likeness of speeds other than 1, which a short track can't tell apart
_LOCAL = 2000  # frames of a refining window, which moves by half of it
_SEARCH = 100  # frames either side that a refining window looks
_MIN_LOCAL = 0.2  # correlation of a refining window that counts
_JUMP = 4  # frames of a step in the lags that is a cut, not noise: one film frame
_OFF = 2  # frames that the median point of a stretch may lie off its line
_SLOPE = 6000  # frames a stretch must last to tell the speed of all
_OWN_SLOPE = 30000  # frames it must last to have one of its own
_BIN = 5  # coarse frames per labelled bin
_AGREEING = 0.16  # correlation that speaks for a line, at most; less where a narrator drowns the film
_WEIGHT = 0.075  # of one band of one coarse frame as evidence: neighbours are not independent
_MOST = 1.5  # evidence of one bin, either way: a single loud onset proves little
_SWITCH = 20.0  # evidence that a line, or "none", needs to take over: some seconds of sound
_ENDS = 3000  # frames of disagreeing sound at an end of film or track that still belong to the place

_Points = NDArray[np.float64]  # (track frame, film frame) of the same sound, [points, 2]


@dataclass(frozen=True, slots=True)
class Line:
    """Film frame = track frame * speed + offset."""

    speed: float
    offset: float

    def film(self, track: NDArray[np.float64]) -> NDArray[np.float64]:
        """Film frames of track frames."""
        return track * self.speed + self.offset

    def track(self, film: float) -> float:
        """Track frame of a film frame."""
        return (film - self.offset) / self.speed


@dataclass(frozen=True, slots=True)
class _Match:
    """Where a block of the track lies in the film.

    Attributes:
        frame: of the track, where the block starts.
        offset: of the line through it, in frames.
        score, second: normalised cross-correlation there, and the best of those 2 s or more away.
    """

    frame: int
    offset: float
    score: float
    second: float

    @property
    def distinct(self) -> float:
        """How far the best stands above the second best, 0..1."""
        return 1 - self.second / self.score if self.score > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """A line and the frames of the track where it holds, half-open."""

    line: Line
    start: float
    end: float


def place(film: Floats, track: Floats) -> tuple[list[Place], float]:
    """Where `track` follows `film`, both as `modulations`.

    Returns:
        The places in the track's order, none when it is another film's, and the confidence 0..1: one minus
        the ratio of the second best correlation, 2 s or more away, to the best.
    """
    finder = _Finder(smooth(film, _STEP), smooth(track, _STEP))
    speed = max(SPEEDS, key=lambda speed: finder.likeness(speed) * (1 if speed == 1 else _UNUSUAL))
    matches = finder.matches(speed)
    clear = [match for match in matches if finder.is_clear(match)]
    stretches = [
        stretch
        for cluster in _clusters(clear)
        for stretch in _uncut(_points(film, track, cluster, speed, finder.size * _STEP / speed), speed)
    ]
    half = float(np.median([match.score for match in clear])) / 2 if clear else _AGREEING
    places = _places(finder, _lines(stretches, speed), min(half, _AGREEING))
    if not places:
        return [], max(match.distinct for match in matches)
    return places, 1 - sum(match.second for match in clear) / sum(match.score for match in clear)


class _Finder:
    """Finds blocks of the track in the whole film, at the coarse rate.

    Attributes:
        film, track: smoothed features, one each envelope frame.
        size: of a block, in coarse frames of the film's clock.
    """

    def __init__(self, film: Floats, track: Floats) -> None:
        self.film, self.track = film, track
        coarse = film[::_STEP]
        size = min(_BLOCK, len(film), len(track) * min(SPEEDS))
        self.size = size = int(size / _STEP)
        self._lags = len(coarse) + size  # lag l: the block starts at coarse film frame l - size
        self._valid = _SEGMENT - size + 1
        count = -(-self._lags // self._valid)
        padded = np.zeros((count * self._valid + size - 1, film.shape[1]), np.float32)
        padded[size : size + len(coarse)] = coarse
        segments = np.stack([padded[i * self._valid :][:_SEGMENT].T for i in range(count)])
        self._spectra = np.fft.rfft(segments)  # [segments, bands, frequencies]
        energy = np.concatenate([[0.0], np.cumsum((padded.astype(np.float64) ** 2).sum(axis=1))])
        energy = energy[size : size + self._lags] - energy[: self._lags]
        self._energy = np.maximum(energy, 0.5 * size * (coarse**2).sum() / len(coarse))  # edges, silence

    def likeness(self, speed: float) -> float:
        """How well blocks spread over the track are found at this speed."""
        starts = self._starts(speed)
        chosen = starts[:: -(-len(starts) // _PROBES)]
        return sum(match.score for match in (self._match(start, speed) for start in chosen))

    def matches(self, speed: float) -> list[_Match]:
        """The best place of each block; blocks overlap by half."""
        return [self._match(start, speed) for start in self._starts(speed)]

    def is_clear(self, match: _Match) -> bool:
        """Whether the match is neither one of several nor what chance gives a block of this length."""
        chance = _CHANCE / (self.size * _STEP) ** 0.5
        return match.distinct >= MIN_CONFIDENCE and match.score >= chance

    def _starts(self, speed: float) -> list[int]:
        last = int(len(self.track) - 1 - self.size * _STEP / speed)
        return [*range(0, last, round(self.size * _STEP / speed / 2)), max(0, last)]

    def _match(self, start: int, speed: float) -> _Match:
        block = sample(self.track, start + np.arange(self.size) * _STEP / speed)
        spectrum = np.fft.rfft(block.T, _SEGMENT)
        product = (self._spectra * spectrum.conj()).sum(axis=1)
        scores = np.fft.irfft(product, _SEGMENT)[:, : self._valid].ravel()[: self._lags]
        scores = scores / np.sqrt(self._energy * max(float((block**2).sum()), 1e-6))
        best = int(scores.argmax())
        far = np.r_[scores[: max(0, best - _APART)], scores[best + _APART + 1 :], 0.0]
        offset = (best - self.size) * _STEP - start * speed
        return _Match(start, offset, float(scores[best]), float(far.max()))


def _clusters(matches: Sequence[_Match]) -> list[list[_Match]]:
    """Matches along the same line, in the track's order: one cluster per uncut stretch."""
    clusters: list[list[_Match]] = []
    for match in matches:
        for cluster in reversed(clusters):
            last = cluster[-1]
            if abs(match.offset - last.offset) < 15 + 0.001 * (match.frame - last.frame):
                cluster.append(match)
                break
        else:
            clusters.append([match])
    return clusters


def _points(film: Floats, track: Floats, cluster: Sequence[_Match], speed: float, block: float) -> _Points:
    """Track frame and film frame of the middle of each local window that is found, [points, 2]."""
    first, last = max(0.0, cluster[0].frame - block), min(len(track), cluster[-1].frame + 2 * block)
    size = round(min(_LOCAL, (last - first) * speed / 4))
    middles = [match.frame + block / 2 for match in cluster]
    length = 1 << (size + 2 * _SEARCH - 1).bit_length()
    points = []
    for start in np.arange(first, last - size / speed, size / speed / 2):
        middle = start + size / speed / 2
        offset = np.interp(middle, middles, [match.offset for match in cluster])
        at = start * speed + offset - _SEARCH
        window = sample(track, start + np.arange(size) / speed)
        around = sample(film, at + np.arange(size + 2 * _SEARCH))
        spectra = np.fft.rfft(around.T, length) * np.fft.rfft(window.T, length).conj()
        energy = np.concatenate([[0.0], np.cumsum((around.astype(np.float64) ** 2).sum(axis=1))])
        energy = energy[size:] - energy[:-size]
        scores = np.fft.irfft(spectra.sum(axis=0), length)[: len(energy)]
        scores = scores / np.sqrt(np.maximum(energy, 0.5 * energy.mean() + 1e-6) * ((window**2).sum() + 1e-6))
        best = int(scores.argmax())
        if 0 < best < len(scores) - 1 and scores[best] >= _MIN_LOCAL:
            left, top, right = scores[best - 1 : best + 2]
            peak = best + 0.5 * (left - right) / (left - 2 * top + right)  # of the parabola through three
            points.append((middle, at + peak + size / 2))
    return np.array(points).reshape(-1, 2)


def _uncut(points: _Points, speed: float) -> list[_Points]:
    """The points, parted where the lags step."""
    lags = points[:, 1] - speed * points[:, 0]
    steps = [abs(np.median(lags[i : i + 3]) - np.median(lags[i - 3 : i])) for i in range(3, len(lags) - 2)]
    if not steps or max(steps) < _JUMP:
        return [points] if len(points) > 2 else []  # fewer may agree by chance
    cut = 3 + int(np.argmax(steps))
    return _uncut(points[:cut], speed) + _uncut(points[cut:], speed)


def _lines(stretches: Sequence[_Points], speed: float) -> list[Line]:
    """A Theil-Sen line through each stretch, each line once.

    Short stretches, where noise would turn the line, take the speed of the longest. A line that most of its
    points stray from is none.
    """

    def strays(line: Line) -> float:
        return float(np.median(np.abs(line.film(points[:, 0]) - points[:, 1])))

    lines: list[Line] = []
    for points in sorted(stretches, key=_span, reverse=True):
        if any(strays(line) < _OFF for line in lines):
            continue  # found from both sides of a cut
        slope = _slope(points) if _span(points) >= (_OWN_SLOPE if lines else _SLOPE) else speed
        line = Line(slope, float(np.median(points[:, 1] - slope * points[:, 0])))
        if strays(line) < _OFF:
            speed = speed if lines else slope
            lines.append(line)
    return lines


def _slope(points: _Points) -> float:
    first, second = np.triu_indices(len(points), 1)
    track, film = (points[second] - points[first]).T
    return float(np.median(film / track))


def _span(points: _Points) -> float:
    """Track frames from first to last point."""
    return float(np.ptp(points[:, 0]))


def _places(finder: _Finder, lines: Sequence[Line], agreeing: float) -> list[Place]:
    """Where each line holds: the Viterbi path through the lines and "none".

    Sound that correlates by more than `agreeing` speaks for a line, less against.
    """
    grid = np.arange(0, len(finder.track), _STEP, dtype=np.float64)
    grid = grid[: len(grid) // _BIN * _BIN]
    track = sample(finder.track, grid)
    evidence = np.zeros((len(grid) // _BIN, len(lines) + 1))
    for state, line in enumerate(lines, 1):
        at = line.film(grid)
        film = sample(finder.film, at)
        agreement = (track * film - agreeing * (track**2 + film**2) / 2).sum(axis=1)
        agreement[(at < 0) | (at >= len(finder.film))] = -track.shape[1]
        evidence[:, state] = np.clip(_WEIGHT * agreement.reshape(-1, _BIN).sum(axis=1), -_MOST, _MOST)
    path = _viterbi(evidence)

    places: list[Place] = []
    for first, last in pairwise([0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]):
        if path[first]:
            line, start = lines[path[first] - 1], float(first * _STEP * _BIN)
            if places and places[-1].line == line:  # other sound of the same length stood in: no cut
                start = places.pop().start
            places.append(Place(line, start, float(last * _STEP * _BIN)))
    for number, found in enumerate(places):
        line, start, end = found.line, found.start, found.end
        begin, close = max(0.0, line.track(0)), min(len(finder.track), line.track(len(finder.film)))
        if start < begin or (number == 0 and start - begin <= _ENDS):
            start = begin
        if end > close or (number == len(places) - 1 and close - end <= _ENDS):
            end = close
        places[number] = Place(line, start, end)
    return places


def _viterbi(evidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """The best state of each bin, [bins], for evidence [bins, states], where a change costs `_SWITCH`."""
    bins, states = evidence.shape
    total = np.zeros(states)
    came = np.zeros((bins, states), np.int64)
    for i in range(bins):
        best = int(total.argmax())
        entered = total[best] - _SWITCH
        came[i] = np.where(total >= entered, np.arange(states), best)
        total = np.maximum(total, entered) + evidence[i]
    path = np.zeros(bins, np.int64)
    state = int(total.argmax())
    for i in range(bins - 1, -1, -1):
        path[i] = state
        state = int(came[i, state])
    return path
