"""The page to talk to an agent, as its user meets it."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.cable import Cable
from tests.browser.conftest import HERE, Opened

AXE = (HERE / "node_modules" / "axe-core" / "axe.min.js").resolve()
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ADA = {"Name": "Ada Lovelace", "Phone": "+15105550123"}


def start(page: Page, fields: dict[str, str] | None = None, *, typing: bool = False) -> None:
    """Fill the form in and have the agent come."""
    for label, text in (fields or {}).items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Type instead" if typing else "Start call").click()
    expect(page.locator("#talk")).to_have_attribute("data-phase", "live")


def agent_says(page: Page, text: str) -> None:
    expect(page.locator("#lines li.agent", has_text=text).first).to_be_visible()


def say(page: Page, text: str) -> None:
    page.get_by_label("Say something by typing").fill(text)
    page.keyboard.press("Enter")


def find_faults(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is, light and dark."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(
            AXE.read_text(encoding="utf-8")
        )  # not a script element: the policy forbids it
    faults = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour on its way
        found: dict[str, Any] = page.evaluate("axe.run()")
        for one in found["violations"]:
            faults += [f"{scheme}, {one['id']}: {node['html']}" for node in one["nodes"]]
    return faults


def test_a_caller_is_greeted_by_name_heard_and_answered(opened: Opened) -> None:
    """What the form says reaches the agent, what the microphone hears stands in the transcript, and the answer's time in the chart."""
    page = opened()

    start(page, ADA)

    agent_says(page, "Hello Ada Lovelace")
    # the small local recogniser takes a word for another one now and then
    heard = page.locator("#lines li.caller:not(.interim)")
    expect(heard).to_contain_text(re.compile("order .* not arrived", re.IGNORECASE))
    expect(page.get_by_role("img", name=re.compile(r"Turn 1: \d\.\d\d s"))).to_be_visible()
    agent_says(page, "Let me read that back")


def test_a_call_without_a_microphone_is_typed(opened: Opened) -> None:
    """Typed words are answered like spoken ones."""
    page = opened()

    start(page, typing=True)
    expect(page.locator("#you-state")).to_have_text("typing")
    say(page, "I want to talk to support, please.")

    expect(page.locator("#lines li.caller")).to_have_text("YouI want to talk to support, please.")
    expect(page.get_by_role("img", name=re.compile("Turn 1"))).to_be_visible()


def test_after_the_call_its_record_is_shown(opened: Opened) -> None:
    """Hanging up brings the outcome and everything that happened, then another call can be made."""
    page = opened()
    start(page, ADA, typing=True)
    agent_says(page, "Hello")

    page.get_by_role("button", name="Hang up").click()

    record = page.get_by_role("tabpanel", name="Record")
    expect(record).to_contain_text("abandoned")
    expect(record).to_contain_text("Hello Ada Lovelace")
    page.get_by_role("button", name="New call").click()
    expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")


def test_a_refused_field_is_told_at_the_field(opened: Opened) -> None:
    """The contract's own error stands beside the input, is read out with it, and the call does not begin."""
    page = opened()
    phone = page.get_by_label("Phone")

    phone.fill("12")
    page.get_by_role("button", name="Start call").click()

    expect(phone).to_have_attribute("aria-invalid", "true")
    expect(phone).to_be_focused()
    expect(phone).to_have_accessible_description(re.compile(r"write it like \+1\d{10}"))
    expect(page.locator("#talk")).to_be_hidden()


def test_a_setting_shows_where_it_comes_from(opened: Opened) -> None:
    """What the caller chooses stands in the config with `dispatch` before the file that it overrides."""
    page = opened()

    page.get_by_text("Settings", exact=False).first.click()
    page.get_by_label("Profile").select_option("patient")
    page.get_by_role("slider", name="Voice: speed").fill("1.3")

    row = page.locator(".values li", has_text="speed")
    expect(row).to_contain_text("1.3")
    expect(row).to_contain_text("dispatch")
    expect(page.locator(".values li", has_text="min_delay").first).to_contain_text(
        "profile/patient.yaml"
    )


def test_a_change_in_the_running_call_is_acknowledged(opened: Opened) -> None:
    """The agent takes another voice speed; what it refuses stands at the field and changes nothing."""
    page = opened()
    start(page, ADA, typing=True)
    page.get_by_role("tab", name="Change").click()

    page.get_by_role("textbox", name="Locale").fill("?")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("textbox", name="Locale")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("textbox", name="Locale").fill("")
    page.get_by_role("slider", name="Voice: speed").fill("1.3")
    page.get_by_role("button", name="Apply").click()

    expect(page.locator(".answer")).to_contain_text("Taken by the agent")
    expect(page.get_by_role("textbox", name="Locale")).not_to_have_attribute("aria-invalid", "true")


def test_a_call_goes_on_after_the_network_was_cut(opened: Opened) -> None:
    """The page says that it reconnects, comes back by itself, and the agent still answers."""
    page = opened(bypass_csp=True)  # the cable is not where the gateway lets the page connect to
    with ExitStack() as held:
        cables: list[Cable] = []

        def lay(route: Route) -> None:
            answer = route.fetch()
            told = answer.json()
            cables.append(held.enter_context(Cable(urlsplit(told["server_url"]).port or 0)))
            url = f"ws://127.0.0.1:{cables[0].port}"
            route.fulfill(response=answer, json={**told, "server_url": url})

        page.route("**/token", lay)
        start(page, ADA, typing=True)
        cables[0].cut()
        expect(page.get_by_text("Connection lost. Reconnecting …")).to_be_visible()
        cables[0].mend()
        expect(page.locator("#talk")).to_have_attribute("data-phase", "live")
        before = page.locator("#lines li.agent").count()
        say(page, "My order has not arrived.")
        expect(page.locator("#lines li.agent")).not_to_have_count(before)


@pytest.mark.parametrize("width", [pytest.param(1280, id="desktop"), pytest.param(360, id="phone")])
def test_everybody_can_use_it(opened: Opened, width: int) -> None:
    """axe-core finds nothing before, in and after a call, light and dark, and nothing is wider than the screen."""
    page = opened(width)
    page.get_by_text("Settings", exact=False).first.click()
    page.get_by_label("Phone").fill("12")
    page.get_by_label("Phone").blur()
    expect(page.locator(".error", has_text="phone number")).to_be_visible()
    found = find_faults(page)
    start(page, {"Phone": ""}, typing=True)
    agent_says(page, "Hello")
    found += find_faults(page)
    page.get_by_role("tab", name="Change").click()
    found += find_faults(page)
    page.get_by_role("button", name="Hang up").click()
    expect(page.locator(".record")).to_be_visible()
    found += find_faults(page)

    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_where_sign_in_is_asked_for_a_token_opens_the_page(opened: Opened) -> None:
    """Each request bears the token; a wrong one is told."""
    page = opened()

    def guard(route: Route) -> None:
        signed_in = route.request.headers.get("authorization") == "Bearer right"
        route.continue_() if signed_in else route.fulfill(status=401, json={"title": "no token"})

    page.route("**/agents", guard)
    page.reload()
    token = page.get_by_label("Access token")
    token.fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("That token is not accepted.")).to_be_visible()
    token.fill("right")
    page.keyboard.press("Enter")

    expect(page.get_by_role("radio", name="Intake")).to_be_checked()
    expect(token).to_be_hidden()


def test_a_call_needs_no_mouse(opened: Opened) -> None:
    """From the agent to its panels, each with the keys that screen reader users expect."""
    page = opened()

    page.get_by_role("radio", name="Intake").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Support")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Say something by typing")).to_be_focused()
    page.get_by_role("tab", name="Times").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tabpanel", name="Config")).to_be_visible()


def test_the_api_is_shown(opened: Opened, gateway: str) -> None:
    """Its reference lives with the same policy as the page, and knows every route."""
    page = opened()

    page.goto(f"{gateway}/docs")

    expect(page.get_by_role("heading", name="Switchboard")).to_be_visible()
    for path in ("/token", "/dispatches", "/rooms/{room}/metadata", "/calls/{name}"):
        expect(page.locator(f"[data-path='{path}']").first).to_be_visible()
