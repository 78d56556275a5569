"""Generated descriptions on the page, in a real browser: marked as what they are, and corrected by hand."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="the tests of the page need the extra `dev`")

from playwright.sync_api import Page, expect

from cinescribe.describe.placement import Sentence
from serve.finding import Index, LocalFinder
from tests.describe.rows import write_descriptions
from tests.serve.browsing import PATIENCE, Visits
from tests.serve.described import ADDRESS, CAT, KITCHEN, describe_kitchen, lock_corrections
from tests.serve.test_page import VOICE, browser, local_service, until, visits  # noqa: F401

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE)


@pytest.fixture
def described(library: Path, tmp_path: Path) -> Path:
    """Tables with a generated description."""
    return describe_kitchen(library, tmp_path / "tables")


@pytest.fixture
def site(described: Path, index: Index, tmp_path: Path) -> Iterator[str]:
    with local_service(described, LocalFinder(index), tmp_path) as url:
        yield url


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText || document.activeElement.value"))


def test_a_description_is_corrected_by_keyboard_alone(site: str, visits: Visits, described: Path) -> None:  # noqa: F811
    page = visits.open(f"{site}/?watch={KITCHEN}&t=0")
    section = page.get_by_role("region", name="Machine-made descriptions")
    items = section.get_by_role("list").get_by_role("button")
    expect(items).to_have_count(3)
    expect(items.nth(1)).to_contain_text("Machine-made · score 0.34")
    expect(items.nth(2)).to_contain_text("Not spoken: it is too long")
    status = page.get_by_role("status")

    items.nth(0).focus()
    page.keyboard.press("ArrowDown")
    assert "A cat walks" in focused(page)
    page.keyboard.press("Enter")
    field = section.get_by_role("textbox", name=re.compile("^Description"))
    expect(field).to_be_focused()
    expect(field).to_have_value("A cat walks over the floor.")
    page.keyboard.press("Control+a")
    page.keyboard.type("k d c")  # letters, not the film's keys
    page.keyboard.press("Escape")
    expect(status).to_contain_text("Left as it was")
    assert "A cat walks" in focused(page)

    page.get_by_label("Your name").fill("Ada")
    items.nth(1).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("A dog crosses the floor.")
    page.keyboard.press("Control+Enter")
    expect(status).to_contain_text("Saved. Spoken at 3 seconds.")
    assert "Corrected by Ada" in focused(page)
    lines = page.get_by_role("list", name="Transcript")
    expect(lines).to_contain_text("A dog crosses the floor.")
    expect(lines).not_to_contain_text("A cat walks")

    page.keyboard.press("Enter")
    section.get_by_role("button", name="Back to the machine’s text").press("Enter")
    expect(status).to_contain_text("Back to the machine’s text.")
    assert "Machine-made · score 0.34" in focused(page)
    expect(lines).to_contain_text("A cat walks over the floor.")
    page.reload()
    expect(page.get_by_label("Your name")).to_have_value("Ada")


def test_what_was_typed_outlives_every_failure(site: str, visits: Visits, described: Path) -> None:  # noqa: F811
    visits.tolerated += ["409", "403", "ERR_INTERNET_DISCONNECTED"]
    page = visits.open(f"{site}/?watch={KITCHEN}&t=0")
    section = page.get_by_role("region", name="Machine-made descriptions")
    section.get_by_role("button", name=re.compile("A cat walks")).click()
    field = section.get_by_role("textbox", name=re.compile("^Description"))
    alert = section.get_by_role("alert")
    field.fill(" ")
    field.press("Control+Enter")
    expect(alert).to_contain_text("Write what is seen")
    field.fill("A dog crosses the floor.")
    page.context.set_offline(True)
    field.press("Control+Enter")
    expect(alert).to_contain_text("offline")
    page.context.set_offline(False)

    answer = page.request.put(f"{site}{ADDRESS}", params=CAT, data={"text": "A wolf is here."})
    assert answer.ok
    field.press("Control+Enter")
    expect(alert).to_contain_text("“A wolf is here.”")
    expect(field).to_have_value("A dog crosses the floor.")
    expect(field).to_be_focused()
    field.press("Control+Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved.")

    lock_corrections(described)
    section.get_by_role("button", name=re.compile("A woman pours")).click()
    field.fill("Emma pours the tea.")
    field.press("Control+Enter")
    expect(alert).to_contain_text("may not write into its library")
    expect(field).to_have_value("Emma pours the tea.")


def test_a_conflict_is_of_the_very_interval_that_was_edited(
    site: str,
    visits: Visits,  # noqa: F811
    described: Path,
) -> None:
    visits.tolerated += ["409"]
    short, long = Sentence(0.0, 2.5, "A pot is there."), Sentence(0.0, 6.0, "A woman cooks.")
    write_descriptions(str(described), KITCHEN, [short, long], duration=7.0)
    page = visits.open(f"{site}/?watch={KITCHEN}&t=0")
    section = page.get_by_role("region", name="Machine-made descriptions")
    section.get_by_role("button", name=re.compile("A woman cooks")).click()
    field = section.get_by_role("textbox", name=re.compile("^Description"))
    field.fill("A woman sings.")
    theirs = {"text": "A woman hums."}
    assert page.request.put(f"{site}{ADDRESS}", params={"start": 0.0, "end": 6.0}, data=theirs).ok
    field.press("Control+Enter")
    expect(section.get_by_role("alert")).to_contain_text("“A woman hums.”")
    field.press("Control+Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    texts = [one["text"] for one in page.request.get(f"{site}{ADDRESS}").json()["descriptions"]]
    assert texts == ["A pot is there.", "A woman sings."]


def test_machine_made_descriptions_are_marked_to_the_eye_and_the_ear(site: str, visits: Visits) -> None:  # noqa: F811
    page = visits.open(f"{site}/?watch={KITCHEN}&t=0", script=VOICE)
    page.get_by_text("How descriptions are given").click()
    page.get_by_label("Machine-made: they may be wrong").check()
    toggle = page.get_by_role("button", name="Descriptions (machine-made)")
    toggle.click()
    expect(page.get_by_role("status")).to_contain_text("Machine-made descriptions on, read aloud.")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "told.length === 1")
    assert page.evaluate("told[0].text") == "Machine-made description: A woman pours water into a pot."
    expect(page.locator("#described")).to_contain_text("Machine-made description")
    page.evaluate("told[0].dispatchEvent(new Event('end'))")
    until(page, "told.length === 2")
    assert page.evaluate("told[1].text") == "A cat walks over the floor."
    expect(page.get_by_role("list", name="Transcript").get_by_role("button")).to_have_count(6)
    lines = page.get_by_role("list", name="Transcript").locator(".machine-kind")
    expect(lines.first).to_contain_text("Machine-made description")


def test_the_list_and_its_field_break_no_accessibility_rule(site: str, visits: Visits) -> None:  # noqa: F811
    from axe_playwright_python.sync_playwright import Axe

    page = visits.open(f"{site}/?watch={KITCHEN}&t=0")
    section = page.get_by_role("region", name="Machine-made descriptions")
    section.get_by_role("button", name=re.compile("A cat walks")).click()
    field = section.get_by_role("textbox", name=re.compile("^Description"))
    field.fill("")
    field.press("Control+Enter")
    for scheme in ("light", "dark"):
        for width in (1280, 320):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": 800})
            found = Axe().run(page).response["violations"]
            told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
            assert told == [], f"{scheme}, {width} pixels wide"
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
