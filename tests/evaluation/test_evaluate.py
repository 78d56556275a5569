"""`cinescribe evaluate`: the numbers of a run, whatever its size, and a page of its failures."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from cinescribe.cli import main
from cinescribe.errors import UsageError
from cinescribe.evaluation import run as runs
from cinescribe.evaluation.run import Text, Video, read_run, write_run
from cinescribe.evaluation.scores import ranks_of
from cinescribe.metrics.retrieval import text_to_video_ranks, video_to_text_ranks

VIDEOS = [Video("a/film", 0.0, 2.0), Video("a/film", 2.0, 4.0), Video("b <b>&amp; c")]
TEXTS = [Text("a <dog> runs", 0), Text("a dog", 0), Text("rain", 1), Text("snow", 2)]
ALIKE = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.3], [0.5, 0.5, 0.5], [0.1, 0.2, 0.9]])


def test_known_ranks_mean_and_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, ALIKE, TEXTS, VIDEOS, seed=1)
    write_run(tmp_path, np.eye(3)[[0, 0, 1, 2]], TEXTS, VIDEOS, seed=2)
    write_run(tmp_path, np.zeros((4, 3)), TEXTS, VIDEOS, seed=10)
    assert main(["evaluate", str(tmp_path), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    told = json.loads(printed.out)
    assert [table["seed"] for table in told["tables"]] == ["1", "2", "10"]
    forward, backward = told["text_to_video"], told["video_to_text"]
    # Ranks 1, 2.5 (tied for the second place), 2 (all tied), 1.
    assert forward["seeds"][0] == {"R@1": 50, "R@5": 100, "R@10": 100, "R@50": 100, "MdR": 1.5, "MnR": 1.625}
    assert [seed["MnR"] for seed in forward["seeds"]] == [1.625, 1, 2]
    assert forward["mean"]["R@1"] == 50
    assert forward["deviation"]["R@1"] == pytest.approx(50)
    # The best text of the first video is first, "rain" is second of its video, "snow" first.
    assert backward["seeds"][0]["MnR"] == pytest.approx((1 + 2 + 1) / 3)
    assert backward["seeds"][2]["MnR"] == 2.5
    assert (forward["queries"], backward["queries"]) == (4, 3)


def test_a_table_read_in_parts_gives_the_ranks_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    table = random.integers(0, 12, (57, 23)) / 4  # with many ties
    owners = random.integers(0, 21, 57)  # two videos have no text
    texts = [Text(str(number), int(video)) for number, video in enumerate(owners)]
    write_run(tmp_path / "a", table, texts, [Video(str(n)) for n in range(23)], seed=0)
    monkeypatch.setattr(runs, "_BLOCK_BYTES", 8 * 23 * 5)
    for name in ("similarity-0.safetensors", "similarity.npy"):
        if name.endswith("npy"):
            np.save(tmp_path / "a" / name, table.astype(np.float16))
            (tmp_path / "a" / "similarity-0.safetensors").unlink()
        found = ranks_of(read_run([tmp_path / "a"]).tables[0], owners)
        np.testing.assert_array_equal(found.text_to_video, text_to_video_ranks(table, owners))
        backward = found.video_to_text[~np.isnan(found.video_to_text)]
        np.testing.assert_array_equal(backward, video_to_text_ranks(table.T, owners))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "img":
            self.images.append(dict(attrs))


def _film(path: Path) -> None:
    """4 s of video: 2 s red, 2 s blue."""
    import av

    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(40):
            picture = np.zeros((180, 320, 3), np.uint8)
            picture[..., 0 if number < 20 else 2] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_the_page_shows_the_worst_first_and_needs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import base64
    import io

    from PIL import Image

    _film(tmp_path / "media" / "a" / "film.mp4")
    write_run(tmp_path / "run", ALIKE, TEXTS, VIDEOS, seed=7)
    page = tmp_path / "page.html"
    arguments = ["--page", str(page), "--media", str(tmp_path / "media"), "--worst", "2"]
    assert main(["evaluate", str(tmp_path / "run"), *arguments]) == 0
    assert "give 3 or more" in capsys.readouterr().err
    html = page.read_text()
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", html) == ["a dog", "rain"]  # ranks 2.5 and 2
    assert "a &lt;dog&gt; runs" in html
    assert "<b>" not in html
    parsed = _Page()
    parsed.feed(html)
    assert not [a for a in parsed.attributes if a[1] in ("href", "src") and not a[2].startswith("data:")]
    assert not [a for a in parsed.attributes if a[0] == "script" or a[1].startswith("on")]
    assert all(image["alt"] for image in parsed.images)
    colours = []
    for image in parsed.images[:2]:  # of "a dog": its own video, then the best placed one
        data = base64.b64decode(str(image["src"]).partition(",")[2])
        colours.append(np.asarray(Image.open(io.BytesIO(data))).mean(axis=(0, 1)).argmax())
    assert colours == [0, 2]
    assert "no picture" in html  # the whole film that isn't there
    assert html.count("Found 2</strong>") + html.count("Found 2, the right one</strong>") == 2
    assert html.count(", the right one</strong>") == 2  # "a dog" and "rain" are second of theirs


def test_models_in_folders_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        write_run(tmp_path / str(seed), ALIKE, TEXTS, VIDEOS, seed)
    assert main(["evaluate", *(str(tmp_path / str(seed)) for seed in range(3))]) == 0
    printed = capsys.readouterr().out
    assert "50.0 ± 0.0" in printed
    assert (tmp_path / "0" / "worst.html").exists()


def test_whole_numbers_and_halves_of_characters_have_a_page(tmp_path: Path) -> None:
    write_run(tmp_path, ALIKE, [*TEXTS[:3], Text("snow \udce9", 2)], VIDEOS, seed=0)
    (tmp_path / "similarity-0.safetensors").unlink()
    np.save(tmp_path / "similarity.npy", np.array([[0, 9, 5]] * 4, np.uint8))
    written = (tmp_path / "texts.jsonl").read_text()
    (tmp_path / "texts.jsonl").write_text(written.replace("rain", "\\ud83d rain"))
    assert main(["evaluate", str(tmp_path)]) == 0
    page = (tmp_path / "worst.html").read_text()
    assert re.findall(r"<strong>Found \d.*?</strong> \((.*?)\)", page)[:3] == ["9.000", "5.000", "0.000"]
    assert "\N{REPLACEMENT CHARACTER} rain" in page
    assert "snow \N{REPLACEMENT CHARACTER}" in page


def test_what_is_wrong_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, ALIKE, TEXTS, VIDEOS, seed=0)
    with pytest.raises(UsageError, match="over others"):
        write_run(tmp_path, ALIKE[:3], TEXTS[:3], VIDEOS, seed=1)
    with pytest.raises(UsageError, match="don't fit"):
        write_run(tmp_path / "b", ALIKE.T, TEXTS, VIDEOS, seed=0)
    np.save(tmp_path / "similarity-1.npy", np.where(ALIKE == 0.8, np.nan, ALIKE))
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "similarity-1.npy: a similarity of text 1 is not a number" in capsys.readouterr().err
    np.save(tmp_path / "similarity-1.npy", ALIKE.T)
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "3 x 4" in capsys.readouterr().err
    for kind in (bool, complex, str, "datetime64[s]"):
        np.save(tmp_path / "similarity-1.npy", np.zeros((4, 3)).astype("i8").astype(kind))
        assert main(["evaluate", str(tmp_path)]) == 2
        assert "similarity-1.npy: numbers of type" in capsys.readouterr().err
    (tmp_path / "similarity-1.npy").unlink()
    halves = tmp_path / "similarity-1.safetensors"  # as torch writes bfloat16, which NumPy hasn't
    header = json.dumps({"similarity": {"dtype": "BF16", "shape": [4, 3], "data_offsets": [0, 24]}}).encode()
    halves.write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "similarity-1.safetensors: numbers of type BF16" in capsys.readouterr().err
    halves.unlink()
    kept = (tmp_path / "videos.jsonl").read_text()
    (tmp_path / "videos.jsonl").write_text(kept.replace('"start": 2.0', f'"start": {"9" * 400}'))
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "videos.jsonl, line 2: start and end are seconds" in capsys.readouterr().err
    (tmp_path / "videos.jsonl").write_text(kept)
    (tmp_path / "texts.jsonl").write_text('{"text": "a", "video": 0}\n{"text": "b"}\n')
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "texts.jsonl, line 2: video should be int" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "nowhere")]) == 2
    assert "texts.jsonl: can't be read" in capsys.readouterr().err
