"""The page in a real browser, over the real service: by keyboard, for readers, by address, and in trouble."""

import io
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="the tests of the page need the extra `dev`")

import numpy as np
from playwright.sync_api import Browser, Page, expect

from cinescribe.cli import main
from cinescribe.evaluation.run import Text, Video, write_run
from cinescribe.search.query import Answer, Query
from serve.finding import Index, LocalFinder, Refusal
from serve.replies import refusal
from serve.service import guarded
from serve.settings import Settings
from tests.serve.browsing import PATIENCE, Visits, chromium

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE)
KITCHEN = "series one/Kitchen"
KEY = "a key for the tests of the page"
ISLAND = "Ærø & the sea #1?"

# Headless browsers have no voices: this one keeps what it is told to say, and ends when the test says so.
VOICE = """
  class Told extends EventTarget { constructor(text) { super(); this.text = text; } }
  window.told = [];
  const voices = [{ name: "Test", lang: "en-GB", voiceURI: "test", default: true }];
  Object.defineProperty(window, "SpeechSynthesisUtterance", { value: Told });
  Object.defineProperty(window, "speechSynthesis", { value: Object.assign(new EventTarget(), {
    getVoices: () => voices, cancel() {}, pause() {}, resume() {},
    speak(one) { told.push(one); setTimeout(() => one.dispatchEvent(new Event("start"))); },
  }) });
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def visits(browser: Browser) -> Iterator[Visits]:
    opened = Visits(browser)
    try:
        yield opened
    finally:
        wrong = opened.close()
    assert wrong == []


class PretendingFinder(LocalFinder):
    """A finder that is full for its next `full` queries, and takes a red picture for the words "red teapot".

    The library of the tests was never looked at by an encoder, so its index knows no pictures.
    """

    full = 0

    async def find(self, query: Query) -> Answer | Refusal:
        if self.full:
            self.full -= 1
            raise refusal(503, "full", "too many requests at once", {"Retry-After": "1"})
        if query.frames is not None and query.frames[0].mean((0, 1)).argmax() == 0:
            query = replace(query, text="red teapot", frames=None)
        return await super().find(query)


@pytest.fixture(scope="module")
def finder(library: Path) -> PretendingFinder:
    return PretendingFinder(Index(str(library), threads=1, device="cpu", refresh_seconds=60))


@contextmanager
def local_service(library: Path, finder: LocalFinder, folder: Path, **settings: Any) -> Iterator[str]:
    """The service in this process: for its keys, and to make it full."""
    import uvicorn

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        chosen = Settings(str(library), cache=str(folder / "cache"), log=str(folder / "log"), **settings)
        server = uvicorn.Server(uvicorn.Config(guarded(chosen, finder), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def site(library: Path, finder: PretendingFinder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local_service(library, finder, tmp_path_factory.mktemp("site")) as url:
        yield url


def ask(page: Page, words: str) -> None:
    page.get_by_label("Something said, described or seen").fill(words)
    page.keyboard.press("Enter")


def film_time(page: Page) -> float:
    return page.locator("video").evaluate("film => film.currentTime")


def until(page: Page, condition: str) -> None:
    """Wait for a condition. Playwright's own way evaluates text in the page, which its policy forbids."""
    patience = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < patience, f"never came true: {condition}"
        page.wait_for_timeout(50)


def test_a_moment_is_found_played_and_described_by_keyboard_alone(site: str, visits: Visits) -> None:
    page = visits.open(site)
    expect(page.get_by_role("heading", name="Your films", exact=True)).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Something said, described or seen")).to_be_focused()
    page.keyboard.type("dog across the wooden floor")
    page.keyboard.press("Enter")
    status = page.get_by_role("status")
    expect(status).to_contain_text(re.compile(r"\d+ moments? found in \d films?"))

    first = page.locator(".moment").first
    expect(first.get_by_role("heading")).to_contain_text("Kitchen")
    expect(first.locator("mark").first).to_have_text("dog")
    expect(first).to_contain_text("Described")
    expect(first).to_contain_text(re.compile(r"\d+% of the score"))

    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.moment a.open')"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Kitchen")).to_be_focused()
    until(page, "document.querySelector('video').currentTime > 3.5")
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="Descriptions")).to_have_attribute("aria-pressed", "true")
    expect(status).to_contain_text("Descriptions on")
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    stood = film_time(page)
    page.keyboard.press("j")
    until(page, f"document.querySelector('video').currentTime < {stood}")
    page.keyboard.press("c")
    expect(status).to_contain_text("Captions off")

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard and help")).to_be_visible()
    page.keyboard.press("k")  # the dialog keeps the film's keys away
    page.keyboard.press("Escape")
    assert page.locator("video").evaluate("film => film.paused")
    page.go_back()
    expect(page.locator(".moment a.open").first).to_be_focused()


def test_descriptions_are_read_aloud_over_a_quieter_film_or_one_that_waits(site: str, visits: Visits) -> None:
    page = visits.open(f"{site}/?watch={KITCHEN}&t=0", script=VOICE)
    page.get_by_role("button", name="Descriptions", exact=True).click()
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "told.length === 1")
    assert page.evaluate("told[0].text") == "Emma pours boiling water into a red teapot."
    assert page.locator("video").evaluate("film => film.volume") == 0.25
    page.evaluate("told[0].dispatchEvent(new Event('end'))")
    assert page.locator("video").evaluate("film => film.volume") == 1

    page.get_by_text("How descriptions are given").click()
    page.get_by_label("Stop the film while a description is read").check()
    until(page, "told.length === 2 && document.querySelector('video').paused")
    assert page.evaluate("told[1].text") == "A dog runs across the wooden floor."
    page.evaluate("told[1].dispatchEvent(new Event('end'))")
    until(page, "!document.querySelector('video').paused")

    page.reload()  # the choice is kept
    expect(page.get_by_role("button", name="Descriptions", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_text("How descriptions are given").click()
    expect(page.get_by_label("Stop the film while a description is read")).to_be_checked()


def test_a_screen_reader_gets_descriptions_on_request_and_where_no_voice_is(
    site: str, visits: Visits
) -> None:
    page = visits.open(f"{site}/?watch={KITCHEN}&t=0")
    assert page.evaluate("speechSynthesis.getVoices().length") == 0
    spoken = page.locator("#spoken")
    assert spoken.get_attribute("aria-live") == "polite"
    page.get_by_role("button", name="Descriptions", exact=True).click()
    page.get_by_role("button", name="Play", exact=True).click()
    expect(spoken).to_have_text("Emma pours boiling water into a red teapot.")
    page.get_by_text("How descriptions are given").click()
    page.get_by_label("My screen reader says them").check()
    expect(spoken).to_have_text("A dog runs across the wooden floor.")
    expect(page.locator("#described")).to_have_text("A dog runs across the wooden floor.")


def test_the_transcript_follows_the_film_and_jumps_into_it(site: str, visits: Visits) -> None:
    page = visits.open(f"{site}/?q=door&watch={KITCHEN}&t=2.1")
    lines = page.get_by_role("list", name="Transcript").get_by_role("button")
    expect(lines).to_have_count(4)
    expect(lines.nth(1)).to_have_attribute("aria-current", "true")
    expect(lines.nth(1)).to_contain_text("Voice 2", ignore_case=True)
    expect(lines.nth(1).locator("mark")).to_have_text("door")
    assert page.locator("video").evaluate("film => film.paused")  # an address alone starts no sound
    lines.nth(3).click()
    until(page, "document.querySelector('video').currentTime >= 5")
    expect(lines.nth(3)).to_have_attribute("aria-current", "true")
    tracks = page.locator("video").evaluate(
        "film => [...film.textTracks].map(t => [t.kind, t.cues.length, t.mode])"
    )
    assert tracks == [["captions", 2, "showing"], ["descriptions", 2, "hidden"]]


def test_the_address_holds_the_query_and_the_moment(site: str, visits: Visits) -> None:
    page = visits.open(site)
    ask(page, "ferry")
    expect(page.locator(".moment").first).to_contain_text("ferry leaves the harbour")
    searched = page.url
    page.locator(".moment a.open").first.click()
    expect(page.get_by_role("heading", name=ISLAND)).to_be_visible()
    shared = page.url

    other = visits.open(shared)
    expect(other.get_by_role("heading", name=ISLAND)).to_be_visible()
    until(other, "document.querySelector('video').currentTime >= 0.4")
    other.get_by_role("link", name="Back to the moments found").click()
    expect(other.locator(".moment").first).to_contain_text("ferry leaves the harbour")

    page.go_back()
    expect(page).to_have_url(searched)
    page.go_back()
    expect(page.get_by_role("heading", name="Your films", exact=True)).to_be_visible()
    expect(page.get_by_label("Something said, described or seen")).to_have_value("")
    page.go_forward()
    expect(page.locator(".moment").first).to_contain_text("ferry leaves the harbour")


def test_filters_narrow_what_is_found_and_examples_come_from_the_films(site: str, visits: Visits) -> None:
    page = visits.open(site)
    expect(page.get_by_role("link", name="The last boat goes at six")).to_be_visible()
    ask(page, "door")
    expect(page.locator(".moment").first).to_contain_text("front door")
    page.locator("summary", has_text="Filters").click()
    page.get_by_label("A film’s name").fill(ISLAND)
    page.get_by_label("A film’s name").press("Enter")
    expect(page.get_by_label("Voice 2")).to_be_visible()
    page.get_by_label("Described", exact=True).check()
    page.get_by_label("From", exact=True).fill("nonsense")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("Write a time as minutes and seconds")).to_be_visible()
    expect(page.get_by_label("From", exact=True)).to_be_focused()
    page.get_by_label("From", exact=True).fill("0:00")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".moment")).to_have_count(1)
    expect(page.locator(".moment")).to_contain_text("ferry")
    assert "counts=described" in page.url
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator(".moment").first).to_contain_text("front door")
    ask(page, '"zebra"')
    expect(page.get_by_role("heading", name='Nothing found for “"zebra"”')).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Nothing found")


def test_a_picture_is_sent_as_the_query(site: str, visits: Visits) -> None:
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(picture, "PNG")
    page = visits.open(site)
    chooser = page.get_by_label("Choose a picture or clip")
    chooser.set_input_files({"name": "red.png", "mimeType": "image/png", "buffer": picture.getvalue()})
    expect(page.locator("#results-title")).to_contain_text("your red.png")
    expect(page.locator(".moment").first).to_contain_text("red teapot")
    expect(page.locator("#given-picture")).to_be_visible()
    visits.tolerated.append("415")
    chooser.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.get_by_role("alert").filter(has_text="can’t be searched")).to_be_visible()
    page.go_back()
    expect(page.locator(".moment").first).to_contain_text("red teapot")

    other = visits.open(f"{site}/?given=red.png")
    expect(other.get_by_role("alert").filter(has_text="The link does not hold red.png")).to_be_visible()


def test_keys_stay_out_of_fields_and_of_the_browsers_own(site: str, visits: Visits) -> None:
    page = visits.open(f"{site}/?watch={KITCHEN}&t=1")
    expect(page.get_by_role("list", name="Transcript").get_by_role("button")).to_have_count(4)
    box = page.get_by_label("Something said, described or seen")
    box.focus()
    page.keyboard.type("k d?/ c")
    expect(box).to_have_value("k d?/ c")
    page.get_by_role("combobox", name="Speed").focus()
    page.keyboard.press("l")
    page.get_by_role("button", name="Mute").focus()
    page.keyboard.press("Control+k")
    page.keyboard.press("Alt+d")
    page.keyboard.press("Space")  # presses the button, and does not start the film
    expect(page.get_by_role("button", name="Mute")).to_have_attribute("aria-pressed", "true")
    assert page.locator("video").evaluate("film => film.paused")
    assert abs(film_time(page) - 1) < 0.1
    expect(page.get_by_role("button", name="Descriptions", exact=True)).to_have_attribute(
        "aria-pressed", "false"
    )

    page.get_by_role("button", name="Keyboard and help").click()
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Keyboard and help")).to_be_focused()
    page.keyboard.press("k")
    assert page.locator("video").evaluate("film => film.paused")


def check_accessible(page: Page, place: str) -> None:
    """No rule of axe's is broken, light or dark, wide or on a telephone, and nothing scrolls sideways."""
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        for width in (1280, 320):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": 800})
            found = Axe().run(page).response["violations"]
            told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
            assert told == [], f"{place}, {scheme}, {width} pixels wide"
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{place} scrolls sideways at {width} pixels"


def test_no_violation_of_the_accessibility_rules(site: str, visits: Visits) -> None:
    page = visits.open(site)
    expect(page.get_by_role("link", name="The last boat goes at six")).to_be_visible()
    check_accessible(page, "library")
    ask(page, "a dog and the door")
    expect(page.locator(".moment").first).to_be_visible()
    page.locator("summary", has_text="Filters").click()
    check_accessible(page, "results")
    page.locator(".moment a.open").first.click()
    expect(page.get_by_role("list", name="Transcript").get_by_role("button")).to_have_count(4)
    page.get_by_text("How descriptions are given").click()
    check_accessible(page, "player")
    page.get_by_role("button", name="Keyboard and help").click()
    check_accessible(page, "dialog")


def test_no_violation_on_the_page_of_an_evaluation(library: Path, visits: Visits, tmp_path: Path) -> None:
    videos = [Video(KITCHEN, 0, 2), Video(KITCHEN, 2, 6), Video("not there")]
    texts = [Text("a dog runs", 1), Text("the door", 0), Text("snow", 2)]
    for seed in range(3):
        write_run(tmp_path, np.random.default_rng(seed).random((3, 3)), texts, videos, seed)
    assert main(["evaluate", str(tmp_path), "--media", str(library.parent / "films")]) == 0
    page = visits.open((tmp_path / "worst.html").as_uri())
    expect(page.get_by_role("img").first).to_be_visible()
    check_accessible(page, "evaluation")


def test_a_key_is_asked_for_and_a_full_service_is_asked_again(
    library: Path, finder: PretendingFinder, visits: Visits, tmp_path: Path
) -> None:
    visits.tolerated += ["401", "503", "ERR_INTERNET_DISCONNECTED"]
    hashes = (sha256(KEY.encode()).hexdigest(),)
    with local_service(library, finder, tmp_path, key_hashes=hashes, session_secret="5e" * 32) as url:
        page = visits.open(f"{url}/?q=teapot")
        field = page.get_by_role("dialog").get_by_label("API key")
        expect(field).to_be_focused()
        page.keyboard.type("not the key")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("This key is not right.")
        page.keyboard.type(KEY)
        page.keyboard.press("Enter")
        expect(page.locator(".moment").first).to_contain_text("red teapot")
        until(page, "document.querySelector('.moment img').naturalWidth > 0")  # pictures have the session too

        finder.full = 1
        ask(page, "ferry")
        expect(page.get_by_role("alert").filter(has_text="The service is busy")).to_contain_text(
            "Trying again"
        )
        expect(page.locator(".moment").first).to_contain_text("ferry")
        expect(page.locator("#trouble")).to_be_hidden()

        page.context.set_offline(True)
        ask(page, "dog")
        expect(page.get_by_role("alert").filter(has_text="No connection")).to_contain_text("offline")
        page.context.set_offline(False)
        expect(page.locator(".moment").first).to_contain_text("dog")


def test_high_contrast_and_less_motion_are_honoured(site: str, visits: Visits) -> None:
    page = visits.open(f"{site}/?q=dog", forced_colors="active", reduced_motion="reduce")
    expect(page.locator(".bar").first).to_have_css("border-top-width", "1px")
    assert page.locator("#cues").evaluate("list => getComputedStyle(list).scrollBehavior") == "auto"


def test_an_address_that_leads_nowhere_says_so(site: str, visits: Visits) -> None:
    visits.tolerated.append("404")
    page = visits.open(f"{site}/?watch=nothing+there")
    expect(page.get_by_role("alert").filter(has_text="Not there")).to_be_visible()
