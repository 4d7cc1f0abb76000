"""Takes the pictures in `screenshots/`: `python -m tests.browser.shoot URL WAV` with a gateway that runs and a caller's words."""

from __future__ import annotations

import shutil
import sys
from typing import Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import HERE

LIMIT_MS = 20_000
SIZES = {"desktop": (1280, 800), "dark": (1280, 800), "phone": (390, 844)}


def main(url: str, wav: str) -> None:
    flags = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={wav}",
    ]
    expect.set_options(timeout=LIMIT_MS)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium-headless-shell")
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for name in SIZES:
            shoot(browser, name, url)
        browser.close()


def shoot(browser: Browser, name: str, url: str) -> None:
    """One call in one kind of window, from the form to the record."""
    width, height = SIZES[name]
    scheme: Literal["light", "dark"] = "dark" if name == "dark" else "light"
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(url)
    expect(page.locator(".values li").first).to_be_attached()
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("Phone").fill("12")
    page.get_by_label("Phone").blur()
    expect(page.locator(".error", has_text="phone number")).to_be_visible()
    picture(page, f"lobby-{name}")
    page.get_by_label("Phone").fill("+15105550123")
    page.get_by_role("button", name="Start call").click()
    expect(page.locator("#lines li.agent").nth(1)).to_contain_text(
        "Let me read that back: your name"
    )
    picture(page, f"call-{name}")
    page.get_by_role("tab", name="Change").click()
    page.get_by_role("slider", name="Voice: speed").fill("1.3")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".answer")).to_contain_text("Taken by the agent")
    picture(page, f"change-{name}")
    page.get_by_role("button", name="Hang up").click()
    expect(page.locator(".record")).to_contain_text("abandoned")
    picture(page, f"record-{name}")
    page.close()


def picture(page: Page, name: str) -> None:
    if name.endswith("-dark") and name != "call-dark":
        return  # the others differ from the light ones by their colours alone
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=HERE / "screenshots" / f"{name}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
