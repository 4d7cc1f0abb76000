"""The page in Debian's Chromium: one stack, one host and one browser for all of its tests."""

from __future__ import annotations

import asyncio
import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from shared import registry
from shared.gateway.page import build_page
from shared.local.sound import RATE, Voice
from shared.local.stack import Ports, Stack, hold
from tests.running import start_host

HERE = Path(__file__).parent
SAID = "My order has not arrived yet."
QUIET_BEFORE_S, QUIET_AFTER_S = 9.0, 25.0
"""Chromium plays the microphone's file from when it is opened, again and again: the greeting comes first, and nothing twice."""

LIMIT_MS = 15_000

Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="session")
def stack(var: Path) -> Iterator[Stack]:
    build_page(lambda _: None)
    held = hold(var / "run", ports=Ports(), with_gateway=True, progress=lambda _: None)
    yield held.stack
    held.close()


@pytest.fixture(scope="session")
def gateway(var: Path, stack: Stack) -> Iterator[str]:
    """The address that a `switchboard run` prints."""
    host = start_host(var, stack, registry.names())
    try:
        yield stack.gateway_url
    finally:
        host.stop()


@pytest.fixture(scope="session")
def microphone(var: Path, stack: Stack) -> Path:
    """A WAV of silence, the sentence above, and silence."""
    voice = Voice(stack.providers_url, stack.providers_key)
    said = asyncio.run(voice.speak(SAID))
    path = var / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(_quiet(QUIET_BEFORE_S) + said + _quiet(QUIET_AFTER_S))
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium; its absence is a failure, not a skip."""
    found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if found is None or not (HERE / "node_modules").is_dir():
        pytest.fail("there is no Chromium for the page's tests. Run: make setup-browser")
    return found


# Of a module: as long as it lives, Playwright has a loop running that no other test may meet.
@pytest.fixture(scope="module")
def browser(chromium: str, microphone: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, gateway: str) -> Iterator[Opened]:
    """Open the page, in a window of its own. What it does against its own Content-Security-Policy, and each exception, fails the test."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_page(width: int = 1280, height: int = 800, *, bypass_csp: bool = False) -> Page:
        size: ViewportSize = {"width": width, "height": height}
        context = browser.new_context(viewport=size, bypass_csp=bypass_csp)
        contexts.append(context)
        context.set_default_timeout(LIMIT_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda told: _judge(told.text, faults))
        page.goto(gateway)
        expect(page.get_by_role("radio", name="Intake")).to_be_checked()
        return page

    expect.set_options(timeout=LIMIT_MS)
    yield open_page
    for context in contexts:
        for page in context.pages:
            page.goto("about:blank")  # says goodbye to the room
        context.close()
    assert faults == []


def _judge(text: str, faults: list[str]) -> None:
    if "Content Security Policy" in text:
        faults.append(text)


def _quiet(seconds: float) -> bytes:
    return b"\0\0" * int(RATE * seconds)
