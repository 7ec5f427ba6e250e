"""The page of a real gateway in a real browser: live values, faults and the link as they happen, at both widths, by
keyboard, and in Dutch."""

import contextlib
import http.client
import json
import re
import ssl
import subprocess
import sys

import pytest
from common import TESTS, free_port, program, wait_until
from gateway import Gateway, cloud_part
from plants import MixedPlant
from simulator import Simulator

sys.path.insert(0, str(TESTS / "page"))

from browser import Browser  # noqa: E402  of tests/page


class Shown:
    """A gateway with a page, its simulated controllers, a port where nobody receives yet, and a browser."""

    def __init__(self, site, stack):
        self.folder = site.folder("page")
        self.pki = site.pki
        plant = MixedPlant(self.folder)
        self.sim = stack.enter_context(Simulator(self.folder / "sim", plant.description))
        self.cloud_port, self.port = free_port(), free_port()
        page = {"port": self.port, "certificate": self.pki / "page.pem", "key": self.pki / "page.key"}
        cloud = cloud_part(self.cloud_port, "page", self.pki)
        configuration = {"page": page, "cloud": cloud, **plant.configuration(self.sim.where)}
        self.gateway = stack.enter_context(Gateway(self.folder / "gateway", configuration))
        self.gateway.start()
        self.tags = len(plant.tags)
        self.address = f"https://localhost:{self.port}/"
        wait_until(self.is_served, 10, "nginx serves the page")
        self.browser = Browser(self.folder / "browser")
        stack.callback(self.browser.close)

    def ask(self, path):
        """The JSON at the path, by a client that trusts the throw-away authority alone."""
        context = ssl.create_default_context(cafile=self.pki / "ca.pem")
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=5, context=context)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            return json.loads(answer.read())

    def is_served(self):
        with contextlib.suppress(OSError, AssertionError):
            return self.ask("/api/status")
        return None

    @contextlib.contextmanager
    def receiver(self):
        """Somebody at the link's other end."""
        with open(self.folder / "receive.log", "ab") as log:
            process = subprocess.Popen(
                [
                    program("forebay"), "receive", "--listen", f"127.0.0.1:{self.cloud_port}",
                    "--ca", self.pki / "ca.pem", "--certificate", self.pki / "receiver.pem",
                    "--key", self.pki / "receiver.key", "--state", self.folder / "received",
                    "--output", self.folder / "received.ndjson",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module", name="shown")
def shown_page(site):
    with contextlib.ExitStack() as stack:
        yield Shown(site, stack)


def test_the_api_answers_as_documented(shown):
    status, values = shown.ask("/api/status"), shown.ask("/api/values")["values"]
    assert status["gateway"]["name"] == "gateway" and len(status["buses"]) == 3 and len(status["instruments"]) == 5
    assert len(values) == shown.tags
    members = {"tag", "instrument", "name", "unit", "value", "quality", "reason", "time_ms", "interval_ms"}
    assert all(value.keys() == members for value in values)


def test_live_values_of_every_instrument_change(shown):
    browser = shown.browser
    browser.open(shown.address)
    browser.wait_for_text("#counts", f"{shown.tags} good, 0 uncertain, 0 bad")
    assert browser.texts(".group h3") == ["a", "b", "c", "d", "e"]
    before = browser.row("a", "sequence-0")
    assert before["quality"].split() == ["✓", "good"]
    browser.wait(lambda: browser.row("a", "sequence-0")["value"] != before["value"], "the sequence goes on")
    assert browser.row("a", "discrete-0")["value"] in ("on", "off")
    assert browser.console() == []


def test_a_silent_instrument_and_its_bus_are_told_until_they_answer_again(shown):
    browser = shown.browser
    browser.open(shown.address)
    shown.sim.say("fault hall-1 1 silent")
    browser.wait(lambda: "✕ bad: timeout" in browser.row("a", "sequence-0")["quality"], "the reason is shown")
    assert browser.row("a", "sequence-0")["value"] == "–"
    browser.wait(lambda: any("hall-1" in text for text in browser.texts("#problem-list li")), "the bus is a problem")
    browser.wait(lambda: "bad: timeout" in browser.text("#instruments tr:first-child"), "the instrument is told with its reason")
    shown.sim.say("clear hall-1 1")
    browser.wait_for_text("#counts", f"{shown.tags} good, 0 uncertain, 0 bad", 20)


def test_the_link_is_shown_with_its_step_and_reason_until_it_is_up(shown):
    browser = shown.browser
    browser.open(shown.address)
    browser.wait(
        lambda: "✕ TCP" in browser.texts("#steps li") and re.search("refused", browser.text("#link"), re.IGNORECASE),
        "the step that fails, and why",
    )
    assert "The link is" in browser.text("#sentence")
    with shown.receiver():
        browser.wait_for_text("#link", "✓ up")
        browser.wait_for_text("#sentence", "All good")
        assert "TLSv1.3" in browser.text("#link") and browser.text("#steps") == ""
    browser.wait_for_text("#sentence", "The link is")


def test_a_core_that_is_killed_is_told_and_comes_back(shown):
    browser = shown.browser
    browser.open(shown.address)
    browser.run("""
        window.told = [];
        const look = () => told.push(document.body.dataset.live);
        new MutationObserver(look).observe(document.body, { attributes: true });""")
    shown.gateway.kill("forebay-core")
    browser.wait(lambda: browser.run("return told.includes('no')"), "the loss is told")
    browser.wait(browser.is_live, "the page is live again", 20)


@pytest.mark.parametrize("width", [360, 1440])
def test_fits_the_window_in_dutch(shown, width):
    browser = shown.browser
    with browser.size(width):
        browser.open(shown.address)
        browser.element("#language [value=nl]").click()
        assert browser.run("return document.documentElement.lang") == "nl"
        assert browser.text("#store-title") == "Opslag" and "goed" in browser.text("#counts")
        assert browser.sideways() == 0


def test_the_keyboard_reaches_the_language_and_the_filter(shown):
    browser = shown.browser
    browser.open(shown.address)
    stops = browser.tab_stops()
    assert stops.index("English") < stops.index("Nederlands") < stops.index("filter") < stops.index("not-good")


@pytest.fixture(scope="module", name="set_aside")
def store_set_aside(shown):
    """The gateway's key is lost: it goes on with a new one, and nobody knows what the old store held."""
    shown.gateway.stop()
    (shown.gateway.folder / "data" / "store.key").unlink()
    shown.gateway.start()
    wait_until(shown.is_served, 10, "nginx serves the page")
    return shown.ask("/api/status")["store"]["set_aside"]


@pytest.mark.parametrize(
    "language, title, told, problem",
    [
        ("en", "Set aside", r"✕ Readings lost\s+damaged, an unknown number of readings, to \d",
         "An unreadable store was set aside at start: "),
        ("nl", "Opzij gezet", r"✕ Metingen verloren\s+beschadigd, een onbekend aantal metingen, tot \d",
         "Een onleesbare opslag is bij de start opzij gezet: "),
    ],
)  # fmt: skip
def test_a_store_set_aside_unread_and_its_unknown_losses_are_told(shown, set_aside, language, title, told, problem):
    browser = shown.browser
    browser.open(shown.address)
    browser.element(f"#language [value={language}]").click()
    browser.wait(lambda: any(re.search(told, text) for text in browser.texts("#events tr")), "the loss is told")
    assert not any(re.search(r"\b0 (readings|metingen)|1970", text) for text in browser.texts("#events tr"))
    assert any(problem + set_aside["reason"] in text for text in browser.texts("#problem-list li"))
    assert re.search(rf"{title}\s+{re.escape(set_aside['path'])}", browser.text("#store")), browser.text("#store")
    assert browser.console() == []
