"""The command, the folder of a run on S3, and the picture of its curves."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cinescribe import cli, storage
from cinescribe.models import tan_files
from tests.train.toy import Line, Options
from tests.train.worlds import write_howtos
from train import command, curves, folder, loop
from train.settings import Settings

SMALL = (
    "--workers 0 --features tiny --text fresh --dim 32 --layers 1 --heads 2 --window 16 --batch 4 --warmup 2 "
    "--steps 6 --log-every 1 --evaluate-every 3"
).split()


def test_a_run_its_curves_and_its_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out, picture = tmp_path / "data", tmp_path / "out", tmp_path / "curves.png"
    write_howtos(data, videos=6)
    given = ["train", "tan-stage1", "--data", str(data), "--out", str(out), *SMALL]
    assert cli.main(given) == 0
    printed, told = capsys.readouterr()
    assert told.startswith("reading the data ...")
    assert "6 steps" in printed
    assert f"recall {json.loads((out / 'best' / 'metrics.json').read_text())['recall']:.4g}" in printed
    tan_files.load(out / "best")
    before = folder.read_lines(str(out))
    assert cli.main(given) == 0  # there is nothing left to do
    assert folder.read_lines(str(out)) == before
    assert cli.main([*given, "--seed", "1"]) == 2
    told = capsys.readouterr().err
    assert "seed 0, not 1" in told
    assert "another --out" in told
    assert cli.main(["train", "curves", str(out), "--out", str(picture)]) == 0
    with Image.open(picture) as image:
        assert image.width > 600
        assert len(image.convert("L").getcolors(256) or []) > 20  # something is drawn
    board = EventAccumulator(str(out / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in board.Scalars("evaluation/recall")] == [3, 6]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tan-stage3"], "there are: tan-stage1, tan-stage2, "),
        (["tan-stage1", "--workers", "4", "--parts", "2"], "--parts 4"),
        (["tan-stage1", "--workers", "0", "--parts", "9", "--batch", "8"], "can't be cut into 9 parts"),
        (["tan-stage1", "--workers", "0", "--features", "none"], "encoders with features there"),
        (["tan-stage2", "--workers", "0"], "--stage1"),
        (["tan-stage1", "--workers", "0", "--schedule", "halved"], "one of cosine, constant, decay, halve"),
        (["autoad", "--workers", "0", "--subtitles", "some"], "lines, names or none"),
    ],
)
def test_what_cannot_be_done_is_told_of(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*arguments, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_curves_of_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["curves", str(tmp_path), "--out", str(tmp_path / "a.png")]) == 2
    assert "no curves" in capsys.readouterr().err


def test_a_run_on_s3_goes_on_like_one_on_disk(bucket: str, tmp_path: Path) -> None:
    def train(out: str, steps: int) -> None:
        settings = Settings(
            recipe="line",
            data="",
            out=out,
            max_steps=steps,
            log_every=2,
            evaluate_every=10,
            checkpoint_every=4,
        )
        loop.train(Line(Options()), settings)

    train(str(tmp_path), 30)
    remote = storage.join(bucket, "runs", "one")
    for stop in (9, 30):
        train(remote, stop)
    local = {n["step"]: n["loss"] for n in folder.read_lines(str(tmp_path)) if "loss" in n}
    assert {n["step"]: n["loss"] for n in folder.read_lines(remote) if "loss" in n} == local
    assert storage.list_folders(storage.join(remote, "checkpoints")) == {"step-00000028", "step-00000030"}
    assert storage.list_names(storage.join(remote, "best")) == {"weights.json", "metrics.json"}
    assert storage.list_names(storage.join(remote, "tensorboard"))
    assert len(curves.curves_of(remote)["loss"][0]) == 15
