"""A real browser without a window, and what the tests ask it."""

import contextlib
import json

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1440,1000",
)  # fmt: skip

# Each text that can be seen: its contrast with what stands behind it, after WCAG 2.1 (relative luminance).
CONTRASTS = """
const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const colour = parse(getComputedStyle(node).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let text; (text = walker.nextNode());) {
  const owner = text.parentElement;
  if (!text.data.trim() || !owner.checkVisibility()) continue;
  const [one, other] = [luminance(parse(getComputedStyle(owner).color)), luminance(ground(owner))];
  found.push([(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), text.data]);
}
return found;
"""


class Browser:
    """folder: a fresh one, for the profile."""

    def __init__(self, folder, language="en"):
        options = webdriver.ChromeOptions()
        for argument in (*ARGUMENTS, f"--user-data-dir={folder}", f"--lang={language}"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.accept_insecure_certs = True
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(20)
        self.driver.set_script_timeout(20)

    def close(self):
        self.driver.quit()

    def open(self, address, anew=True):
        """Open the page, wait for the first values, and forget what the console said so far; anew: as somebody who was
        never here."""
        if anew:
            origin = {"origin": address, "storageTypes": "local_storage"}
            self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", origin)
        self.driver.get_log("browser")
        self.driver.get(address)
        self.wait(self.is_live, "the page is live")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition, what, limit_s=15):
        """Until the condition holds; elements may come and go meanwhile."""
        return WebDriverWait(self.driver, limit_s, poll_frequency=0.1).until(lambda _: condition(), f"not: {what}")

    def wait_for_text(self, selector, part, limit_s=15):
        self.wait(lambda: part in self.text(selector), f"{part!r} in {selector}", limit_s)

    def is_live(self):
        return self.run("return document.body.dataset.live === 'yes' && document.querySelector('.group') !== null")

    def text(self, selector):
        """What a person reads there; "" if there is nothing."""
        return next(iter(self.texts(selector)), "")

    def texts(self, selector):
        """The same of every such element that is shown."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].filter((node) => node.checkVisibility())"
            ".map((node) => node.innerText)",
            selector,
        )

    def rows(self):
        """{(instrument, tag): {"value", "unit", "quality", "age"}} of the rows that are shown."""
        rows = self.run("""
            return [...document.querySelectorAll('.group tbody tr:not(.spacer)')].filter((row) => row.checkVisibility())
              .map((row) => [row.closest('.group').querySelector('h3').innerText,
                ...[...row.children].slice(0, 5).map((cell) => cell.innerText)]);""")
        return {
            (instrument, tag): {"value": value, "unit": unit, "quality": quality, "age": age}
            for instrument, tag, value, unit, quality, age in rows
        }

    def row(self, instrument, tag):
        """One of rows(), as soon as it is shown."""
        self.wait(lambda: (instrument, tag) in self.rows(), f"a row of {instrument} {tag}")
        return self.rows()[instrument, tag]

    def wait_for_rows(self, count):
        self.wait(lambda: len(self.rows()) == count, f"{count} rows are shown")

    def console(self):
        """What the console said since open() that is worse than information."""
        return [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def element(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def press(self, key):
        self.driver.switch_to.active_element.send_keys(key)

    def tab_stops(self, most=40):
        """The ids (else the texts) of what Tab reaches, in order, from the top of the page."""
        self.run("document.activeElement?.blur(); scrollTo(0, 0)")
        stops = []
        self.element("body").send_keys(Keys.TAB)
        for _ in range(most):
            stop = self.run("""
                const node = document.activeElement;
                if (node === document.body) return null;
                return node.id || node.getAttribute('aria-labelledby') || node.innerText""")
            if stop is None or stop in stops:
                break
            stops.append(stop)
            self.press(Keys.TAB)
        return stops

    @contextlib.contextmanager
    def size(self, width, height=900):
        """A window of that size, in CSS pixels."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def scheme(self, scheme):
        """light or dark."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )

    def sideways(self):
        """By how many pixels the page is wider than its window."""
        return self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def faint(self, least=4.5):
        """Texts with less contrast than WCAG 2 AA asks for."""
        return [f"{ratio:.2f} {json.dumps(text)}" for ratio, text in self.run(CONTRASTS) if ratio < least]
