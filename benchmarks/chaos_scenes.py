"""Ingest, indexing and training under kills, each held against a run without any."""

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import chaos_data
from benchmarks.chaos_attack import Attack, Told, draw, quietly
from benchmarks.chaos_machines import BUCKET, Machines
from cinescribe import storage, tables
from cinescribe.cineworld.experts import SEES

QUIET = f"{BUCKET}/quiet"
LIBRARY = f"{QUIET}/library"  # what is indexed; also what is served
_DATA_WORKERS = r"^ray::(MapWorker|Map\()"
_TRAINING_WORKERS = r"RayTrainWorker"
STEPS = 600


@dataclass(frozen=True, slots=True)
class Scenes:
    """What the scenes share.

    Args:
        machines: they run on.
        films, world: folders of the films and of what is trained on.
        light: ingest without models: the cleaner and the encoder of the tests, which read sound and pictures.
    """

    machines: Machines
    films: Path
    world: Path
    light: bool

    def prepare(self) -> None:
        """Films, tables and the world."""
        chaos_data.render_films(self.films)
        chaos_data.upload_films(self.films)
        chaos_data.write_library(LIBRARY)
        chaos_data.write_training_world(self.world)

    def quiet(self, scene: str) -> None:
        """The run without kills that others of that scene are held against."""
        if scene == "ingest":
            for words in self._ingest(f"{QUIET}/ingest"):
                quietly(self.machines, words, TMPDIR=self._temporary())
        elif scene == "training":
            quietly(self.machines, self._training(f"{QUIET}/training"))
        else:
            quietly(self.machines, self._indexing(LIBRARY))

    # ---- ingest ---------------------------------------------------------------------------------

    def _ingest(self, out: str) -> list[list[str]]:
        common = ["--out", out, "--address", self.machines.address, "--workers", "2", "--threads", "1"]
        extract = [chaos_data.FILMS, *common, "--chunk-seconds", "4", "--encoders", self.encoder]
        if self.light:
            return [
                ["tests.pipelines.standins", "Slow", chaos_data.FILMS, *common],
                ["tests.pipelines.encoders", *extract],
            ]
        return [
            ["cinescribe.cli", "transcribe", chaos_data.FILMS, *common],
            ["cinescribe.cli", "extract", *extract],
        ]

    @property
    def encoder(self) -> str:
        """What the films are encoded by."""
        return "slow" if self.light else "objects"

    @property
    def tables(self) -> tuple[str, ...]:
        """What an ingest writes."""
        return ("films", "speech", f"features/{self.encoder}", "errors")

    def ingest(self, told: Told, chance: random.Random) -> None:
        """Films to speech, and to features."""
        out = f"{BUCKET}/round-{told.round}/ingest"
        commands = self._ingest(out)
        strikes = [draw(chance, ["worker", "node", "driver", "s3"]) for _ in commands]
        temporary = self._temporary()
        for words, drawn in zip(commands, strikes, strict=True):
            progress = partial(_rows, out, self.tables)
            Attack(self.machines, told, words, _DATA_WORKERS, progress, TMPDIR=temporary).run(drawn)
        broken = {row["film_id"] for row in tables.read_table(f"{QUIET}/ingest", "errors").to_pylist()}
        lost = [row for row in tables.read_table(out, "errors").to_pylist() if row["film_id"] not in broken]
        if lost:  # hit three times, or S3 was away for long: a person then asks for them again
            told.given_up = Counter(f"{row['stage']}: {row['kind']}" for row in lost)
            for words in commands:
                again = [*words, "--retry-failed"]
                Attack(
                    self.machines,
                    told,
                    again,
                    _DATA_WORKERS,
                    partial(_rows, out, self.tables),
                    TMPDIR=temporary,
                ).run([])
        told.units = sum(len(tables.written_names(out, table)) for table in self.tables[1:3])
        told.differences = chaos_data.ingest_differences(out, f"{QUIET}/ingest", self.tables)

    def _temporary(self) -> str:
        """A folder for the films that are fetched from S3, without any yet."""
        folder = self.machines.temporary / "films"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return str(folder)

    # ---- indexing -------------------------------------------------------------------------------

    def _indexing(self, root: str) -> list[str]:
        return [
            "cinescribe.cli",
            "index",
            root,
            "--address",
            self.machines.address,
            "--workers",
            "2",
            "--threads",
            "1",
        ]

    def indexing(self, told: Told, chance: random.Random) -> None:
        """Tables to an index."""
        root = f"{BUCKET}/round-{told.round}/library"
        chaos_data.write_library(root)
        strikes = draw(chance, ["worker", "node", "driver", "driver", "s3"])
        words, progress = self._indexing(root), partial(_index_files, root)
        Attack(self.machines, told, words, _DATA_WORKERS, progress).run(strikes)
        if lost := tables.read_table(root, "errors").to_pylist():  # the same command tries them again
            told.given_up = Counter(f"{row['stage']}: {row['kind']}" for row in lost)
            Attack(self.machines, told, words, _DATA_WORKERS, progress).run([])
        told.units = _indexed(root)
        told.differences = chaos_data.index_differences(root, LIBRARY)

    # ---- training -------------------------------------------------------------------------------

    def _training(self, out: str) -> list[str]:
        options = (
            f"--annotations cineworld-howtos --experts {','.join(SEES)} --clusters world-deed=2,text=4 "
            "--tokens world-deed=6,text=10 --text glove-6b-50d --width 32 --batch 16 --learning-rate 0.002 "
            f"--steps {STEPS} --parts 2 --log-every 1 --checkpoint-every 20 --evaluate-every 100 --threads 1 "
            "--workers 2 --max-failures 20"
        )
        where = ["--data", str(self.world), "--out", out, "--address", self.machines.address]
        return ["cinescribe.cli", "train", "ce", *where, *options.split()]

    def training(self, told: Told, chance: random.Random) -> None:
        """A model of Collaborative Experts by two workers."""
        out = f"{BUCKET}/round-{told.round}/training"
        strikes = draw(chance, ["worker", "worker", "node", "driver", "s3"])
        words = self._training(out)
        Attack(self.machines, told, words, _TRAINING_WORKERS, partial(_step, out)).run(strikes)
        told.units = int(_step(out))
        told.differences, told.loss_difference = chaos_data.training_differences(out, f"{QUIET}/training")


def _rows(out: str, names: Sequence[str]) -> float:
    """How many rows an ingest has written."""
    return sum(len(tables.written_names(out, table)) for table in names)


def _index_files(root: str) -> float:
    """How many files an index has."""
    folders = storage.list_folders(f"{root}/index")
    return sum(len(storage.list_names(f"{root}/index/{name}/data")) for name in folders)


def _indexed(root: str) -> int:
    from cinescribe.search.store import Store

    return len(Store(root).films())


def _step(out: str) -> float:
    """The last step of a training that is written down."""
    return max(chaos_data.curves(out)[0], default=0)
