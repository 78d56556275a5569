"""A real browser for the tests of the page: found on PATH, watched over, and always ended."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LONGEST = 300  # seconds the browser may live: one that stands still must not hold up the whole suite
PATIENCE = 15_000  # ms that a page may take for anything


TRIES = 3  # on a busy machine a Chromium sometimes opens its port and never answers


@contextmanager
def chromium(profiles: Path) -> Iterator[Browser]:
    """Start the Chromium on PATH; skip without one. Its processes end here, whatever happens."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on PATH; on Debian and Ubuntu: apt-get install chromium")
    with sync_playwright() as playwright, ExitStack() as running:
        for attempt in range(TRIES):
            address = running.enter_context(_started(program, profiles / str(attempt)))
            try:
                browser = playwright.chromium.connect_over_cdp(address, timeout=2 * PATIENCE)
                break
            except TimeoutError:
                running.close()
                if attempt == TRIES - 1:
                    raise
        running.callback(browser.close)
        yield browser


@contextmanager
def _started(program: str, profile: Path) -> Iterator[str]:
    """The address of a Chromium that listens to us."""
    options = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--mute-audio"]
    options += ["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-breakpad"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    # A session of its own, so that all its processes end with one signal.
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([program, *options], start_new_session=True, stdout=quiet, stderr=quiet)
    watchdog = threading.Timer(LONGEST, _end, [process])
    watchdog.daemon = True
    watchdog.start()
    try:
        yield f"http://127.0.0.1:{_port(process, profile)}"
    finally:
        watchdog.cancel()
        _end(process)


def _port(process: subprocess.Popen[bytes], profile: Path) -> int:
    until = time.monotonic() + 60
    told = profile / "DevToolsActivePort"
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError, IndexError, ValueError):
            return int(told.read_text().split()[0])
        time.sleep(0.1)
    raise AssertionError(f"the browser did not start (exit code {process.poll()})")


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


@dataclass
class Visits:
    """Opens pages and hears what goes wrong in them.

    Attributes:
        browser: where they open.
        tolerated: parts of console errors that a test provokes on purpose.
    """

    browser: Browser
    tolerated: list[str] = field(default_factory=list)
    _heard: list[str] = field(default_factory=list)
    _contexts: list[Any] = field(default_factory=list)

    def open(self, address: str, *, script: str = "", **options: Any) -> Page:
        """A page in a context of its own; `script` runs before the page's own."""
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.on("console", lambda said: self._heard.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self._heard.append(str(error)))
        page.goto(address)
        return page

    def close(self) -> list[str]:
        """Close all pages; the errors of their consoles, broken content security policy among them."""
        for context in self._contexts:
            context.close()
        return [said for said in self._heard if not any(part in said for part in self.tolerated)]
