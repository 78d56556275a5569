"""The files of a film's generated description: cues, the described track, the film with it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cinescribe import storage
from cinescribe.cineworld.voices import Voice
from cinescribe.describe import track
from cinescribe.describe.placement import Cue
from cinescribe.media.probe import probe
from pipelines import files

ENDINGS = (".described.vtt", ".described.m4a", ".described.mp4", ".described.mkv")


def addresses(out: str, film_id: str) -> list[str]:
    """All addresses under which a film may have files of its description."""
    return files.addresses(out, film_id, ENDINGS)


def write_text(out: str, film_id: str, cues: Sequence[Cue]) -> None:
    """Write the cues as WebVTT."""
    storage.write_bytes(addresses(out, film_id)[0], track.vtt(cues).encode("utf-8", "replace"))


def write_sound(
    out: str, film_id: str, path: Path, cues: Sequence[Cue], voice: Voice, mix: track.Mix
) -> None:
    """Write the described track of the film at `path`, and the film with it as .mp4 or .mkv."""
    info = probe(path)
    places = dict(zip(ENDINGS, addresses(out, film_id), strict=True))
    with _workplace(places[".described.m4a"]) as folder:
        sound = folder / "track.m4a"
        track.write_track(track.described_sound(path, info, cues, track.spoken(cues, voice), mix), sound)
        for ending in (".mp4", ".mkv"):
            storage.delete(places[f".described{ending}"])
        if info.width:
            ending = track.film_ending(info)
            film = folder / f"film{ending}"
            track.write_film(path, info, sound, film)
            storage.move_file(film, places[f".described{ending}"])
        storage.move_file(sound, places[".described.m4a"])


@contextmanager
def _workplace(address: str) -> Iterator[Path]:
    """A folder for files until they are whole: beside their place, so that they are only renamed."""
    beside = None
    if not storage.is_s3(address):
        beside = Path(address).parent
        beside.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".describing-", dir=beside) as folder:
        yield Path(folder)
