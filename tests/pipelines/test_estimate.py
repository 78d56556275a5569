"""What `cinescribe plan` tells: hours that follow from the rates, films that can't be read, what is done."""

import json
from pathlib import Path

import pytest
import yaml

from cinescribe import storage, tables
from cinescribe.errors import UsageError
from cinescribe.media.library import FilmRef, list_films
from cinescribe.media.probe import probe
from pipelines import left
from pipelines.estimate import estimate, main
from pipelines.left import Measured, Work, works
from pipelines.rates import Cluster, Cost, Nodes, Rates, read_cluster, read_rates
from tests.media.films import tone, write_film

CLUSTERS = Path(__file__).parents[2] / "infra" / "clusters"
PIXELS = 640 * 360 * 25.0  # a second of the film that was measured
REAL_TIME = Cost((3600.0, 3600.0), (0.0, 0.0), 0.0)  # an hour of a core for an hour of film


def rates(efficiency: float = 1.0, together: float = 1.0, **stages: Cost) -> Rates:
    return Rates({"profile": "small"}, stages, PIXELS, together, 2, efficiency)


def cluster_of(count: int, cores: int = 16, gpus: int = 0, price: float | None = 2.0) -> Cluster:
    return Cluster("test", "USD", (Nodes("node", count, cores, gpus, 64.0, price),))


def speech_of(films: int, hours: float = 1.0) -> Work:
    seconds = hours * 3600
    longest = {"speech": seconds}
    todo = {"speech": films * seconds}
    return Work("transcribe", films, films, films * hours, todo, longest, frozenset({"films"}), 9 * PIXELS)


def test_hours_and_price_follow_from_the_rates() -> None:
    made = estimate(speech_of(32), rates(speech=REAL_TIME), cluster_of(2), "small")
    assert (made.workers, made.threads) == (32, 1)
    assert made.core_hours == (32.0, 32.0)
    # At least each of 32 cores does one of 32 films; at most the longest is begun when the others are done.
    assert made.hours == pytest.approx((1.0, 31 / 32 + 1))
    assert made.price == pytest.approx((4.0, 4.0 * (31 / 32 + 1)))

    slower = Cost((3600.0, 7200.0), (0.0, 0.0), 36.0)
    made = estimate(speech_of(32), rates(efficiency=0.5, speech=slower), cluster_of(2, price=None), "small")
    assert made.hours == pytest.approx((1.0, 2 * 2 * (31 / 32 + 1) + 0.01))
    assert made.price is None


def test_one_film_gains_nothing_by_more_machines() -> None:
    of = rates(speech=REAL_TIME)
    few, many = (estimate(speech_of(1), of, cluster_of(count), "small").hours for count in (1, 10))
    assert few == many == pytest.approx((0.25, 1.0))  # four threads of a worker: worth between one and four


@pytest.mark.parametrize("films", [1, 3, 40, 5000])
def test_a_range_is_one_and_more_machines_take_no_longer(films: int) -> None:
    of = rates(efficiency=0.8, speech=Cost((100.0, 900.0), (0.0, 0.0), 5.0))
    spans = [estimate(speech_of(films), of, cluster_of(count), "small").hours for count in (1, 2, 4, 8)]
    assert all(least <= most for least, most in spans)
    assert spans == sorted(spans, reverse=True)


def test_gpus_count_where_the_rates_were_measured_with_one() -> None:
    by_gpu = rates(speech=Cost((360.0, 360.0), (360.0, 360.0), 0.0))
    made = estimate(speech_of(40), by_gpu, cluster_of(2, cores=16, gpus=1), "small")
    assert made.gpu_hours == pytest.approx((4.0, 4.0))
    assert made.hours[0] == pytest.approx(2.0)  # 40 hours by two GPUs, ten times as fast as the films
    idle = estimate(speech_of(40), rates(speech=REAL_TIME), cluster_of(2, gpus=1), "small")
    assert idle.gpu_hours == (0.0, 0.0)
    assert idle.workers == 32


def measured(*names: str, seconds: float = 150.0) -> list[Measured]:
    return [Measured(FilmRef(name, f"/films/{name}.mp4", 1, "etag"), seconds, PIXELS) for name in names]


def done(out: str, table: str, key: str, chunk: int | None = None) -> None:
    storage.write_bytes(storage.join(out, table, tables.file_name(key, chunk)), b"")


def test_what_is_done_or_failed_is_left_away(tmp_path: Path) -> None:
    out, films = str(tmp_path), measured("a", "b", "c", "d")
    for film_id in "abc":
        done(out, "films", film_id)
    done(out, "speech", "a")
    done(out, "errors", tables.error_key("speech", "b"))
    done(out, "features/objects", "a", 0)
    done(out, "errors", tables.error_key("features/objects", "a"), 1)
    speech, features, index = works(out, films, ("transcribe", "extract", "index"), ("objects",))
    assert speech.seconds == {"films": 150.0, "speech": 300.0}  # films of d, speech of c and d
    assert (speech.films, speech.hours) == (2, pytest.approx(300 / 3600))
    assert features.seconds == {"features/objects": 3 * 150.0 + 30}  # of a the last 30 s of 150
    assert features.units == 3 * 3 + 1
    assert features.longest == {"features/objects": 60.0}
    assert index.films == 4
    nothing = works(out, films[:1], ("transcribe",), ())[0]
    assert estimate(nothing, rates(), cluster_of(1), "small").hours == (0.0, 0.0)


def test_encoders_share_the_decoding_at_best(tmp_path: Path) -> None:
    (work,) = works("", measured("a", seconds=3600.0), ("extract",), ("objects", "actions"))
    costs = {"features/objects": REAL_TIME, "features/actions": REAL_TIME, "films": REAL_TIME}
    made = estimate(work, rates(together=0.75, **costs), cluster_of(1), "features")
    assert made.core_hours == pytest.approx((1 + 2 * 0.75, 3.0))


def test_a_library_on_paper_costs_what_its_hours_do(capsys: pytest.CaptureFixture[str]) -> None:
    films = left.films_on_paper(3, 1.5)
    speech, features = works("", films, ("transcribe", "extract"), ("objects",))
    assert speech.hours == pytest.approx(1.5)
    assert features.units == 3 * 30  # half an hour in minutes
    of = rates(films=REAL_TIME, speech=REAL_TIME)
    assert estimate(speech, of, cluster_of(1), "small").core_hours == pytest.approx((3.0, 3.0))
    assert main(["--films", "3", "--hours", "1.5", "--stages", "transcribe"]) == 0
    assert "films     3, 1.50 h" in capsys.readouterr().out
    for wrong in (["--films", "3"], ["--hours", "1"], ["a.mp4", "--films", "3", "--hours", "1"], []):
        assert main(wrong) == 2


@pytest.mark.parametrize(("size", "least", "most"), [(1.0, 1.0, 1.0), (4.0, 1.0, 4.0), (0.5, 0.5, 1.0)])
def test_more_pixels_cost_more_and_only_what_looks_at_them(size: float, least: float, most: float) -> None:
    film = Measured(FilmRef("a", "/films/a.mp4", 1, "etag"), 3600.0, size * PIXELS)
    (seen,) = works("", [film], ("extract",), ("objects",))
    (heard,) = works("", [film], ("extract",), ("audio",))
    of = rates(
        films=Cost((0.0, 0.0), (0.0, 0.0), 0.0),
        **{"features/objects": REAL_TIME, "features/audio": REAL_TIME},
    )
    assert estimate(seen, of, cluster_of(1), "features").core_hours == pytest.approx((least, most))
    assert estimate(heard, of, cluster_of(1), "features").core_hours == pytest.approx((1.0, 1.0))


def test_the_command_tells_films_hours_and_what_cant_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    write_film(films / "a.mp4", frames=50, audio=tone(2.0, 48000))
    write_film(films / "b.mp4", frames=25, audio=tone(1.0, 48000))
    (films / "broken.mp4").write_bytes(b"")
    (films / "broken\n\x1b[2Jfilms     9.mp4").write_bytes(b"")  # a name that would clear the screen and lie
    assert (
        main([str(films), "--cluster", str(CLUSTERS / "example.yaml")]) == 0
    )  # with the rates of the package
    told = capsys.readouterr().out
    assert "broken.mp4: zero bytes" in told
    assert "films     2, 0.00 h; 2 more can't be read" in told
    assert "\x1b" not in told
    assert r"broken\n\x1b[2Jfilms     9.mp4: zero bytes" in told
    assert all(word in told for word in ("transcribe", "extract", "index", "one by one", "cost USD"))
    assert read_rates("").measured["film"] in told
    assert read_rates("").measured["machine"] in told

    assert main([str(films), "--stages", "extract", "--encoders", "audio"]) == 2
    assert "python -m benchmarks.rates --encoders audio" in capsys.readouterr().err


def test_of_films_on_s3_a_few_are_fetched(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_film(tmp_path / "film.mp4", frames=50, audio=tone(2.0, 48000))
    for number in range(6):
        storage.write_bytes(f"{bucket}/many/{number}.mp4", (tmp_path / "film.mp4").read_bytes())
    looked: list[Path] = []
    monkeypatch.setattr(left, "probe", lambda path: looked.append(path) or probe(path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    films, faults = left.measure_films([f"{bucket}/many/"], "")
    assert not faults
    assert [film.seconds for film in films] == pytest.approx([2.0] * 6)
    assert len(looked) == sum(not film.guessed for film in films) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nodes: []", "empty"),
        ("nodes: [{name: a, count: 0, cores: 1, memory_gb: 1}]", "count"),
        ("7", "nodes"),
        ("nodes: [{name: a, count: .inf, cores: 1, memory_gb: 1}]", "count of a is inf"),
        ("nodes: [{name: a, count: 1, cores: 1, memory_gb: .nan}]", "memory_gb of a is nan"),
        ("nodes: [{name: a, count: 1, cores: 1, memory_gb: 1, price: .nan}]", "price of a is nan"),
        ("nodes: [{name: a, count: 1, cores: 1, memory_gb: 1, gpu: 1}]", "a has no .gpu."),
        ("nodes: [{name: a, count: 1000000000, cores: 1, memory_gb: 1}]", "up to 100000"),
        ("nodes: [{name: a, count: 1, cores: 1.5, memory_gb: 1}]", "cores of a is 1.5; a whole number"),
        ("nodes: [{name: a, count: 1, cores: 1, memory_gb: 1, price: 1.0e+300}]", "price of a is 1e"),
        ("name: [a]\nnodes: [{name: a, count: 1, cores: 1, memory_gb: 1}]", "name and currency are text"),
        ("[" * 5000, "RecursionError"),
    ],
)
def test_a_file_that_is_no_cluster_is_told(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=why) as told:
        read_cluster(str(path))
    assert str(path) in str(told.value)


def test_rates_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    given = rates(efficiency=0.9, speech=REAL_TIME)
    path.write_text(given.to_json())
    assert read_rates(str(path)) == given
    content = json.loads(given.to_json())
    speech = content["stages"]["speech"]
    for place, name, wrong in (
        (speech, "core_seconds", [5, 2]),
        (speech, "start_seconds", -1),
        (content, "pixels", float("nan")),
        (content, "measured", {"profile": "tiny"}),
    ):
        right, place[name] = place[name], wrong
        path.write_text(json.dumps(content))
        place[name] = right
        with pytest.raises(UsageError, match=r"benchmarks\.rates") as told:
            read_rates(str(path))
        assert str(path) in str(told.value)
        assert {"core_seconds": "speech", "measured": "'tiny'"}.get(name, name) in str(told.value)
        assert f"--out {path}" not in str(told.value)  # which is perhaps something else of theirs


@pytest.mark.parametrize("name", ["example.yaml", "thousand-cores.yaml"])
def test_the_clusters_that_come_with_it_hold(name: str) -> None:
    cluster = read_cluster(str(CLUSTERS / name))
    nodes = yaml.safe_load((CLUSTERS / name).read_text())["nodes"]
    assert cluster.price == sum(node["count"] * node["price"] for node in nodes)


def test_a_laptop_is_this_machine() -> None:
    laptop = read_cluster("laptop")
    assert laptop.price is None
    assert laptop.total("cores") >= 1


def test_films_are_listed_as_the_pipelines_list_them(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    write_film(tmp_path / "series" / "one.mp4", frames=25)
    films, _ = left.measure_films([str(tmp_path)], "")
    assert [one.film for one in films] == list_films([str(tmp_path)])
