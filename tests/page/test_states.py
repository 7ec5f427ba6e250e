"""The page in a real browser: good, bad, lost, crowded, small, dark, and in both languages."""

import re

import pytest
from player import Plant, certificate, now_ms
from served_page import WEB

WIDTHS = (360, 768, 1440)


def spoil(plant):
    """Everything that can be wrong at once."""
    hour_ms = 3_600_000
    plant.bad = {"flow-2": "timeout", "oxygen-4": "not connected"}
    plant.uncertain = {"flow-6": "stale"}
    plant.link = {
        "state": "waiting", "step": "tls", "reason": "the certificate of broker.example has expired", "tls": "",
        "since_ms": now_ms() - hour_ms, "retry_at_ms": now_ms() + 60_000, "refusal": "amqp:resource-limit-exceeded",
        "parked": {"batches": 12, "readings": 108_000, "list": [
            {"number": 4711, "readings": 9000, "since_ms": now_ms() - hour_ms, "reason": "rejected: no such tag"},
        ]},
        "month": {"month": "2026-11", "bytes": 524_300_000, "budget": 524_288_000, "spent": True},
    }  # fmt: skip
    plant.store = {
        "state": "full", "reason": "the disk is full: 3 new tags wait until it has room", "waiting_tags": 3,
        "oldest_unsent_ms": now_ms() - hour_ms, "lost_readings": 12, "bytes": 8_000_000_000,
        "upkeep": {
            "salvage": {"state": "running", "reason": "", "since_ms": now_ms(), "done_percent": 41.5},
            "rekey": {"state": "failed", "reason": "the copy needs 8200 MB free on the disk, where 100 MB are",
                      "since_ms": now_ms(), "done_percent": 0.0},
            "check": {"state": "waiting", "reason": "", "since_ms": now_ms(), "done_percent": 0.0},
        },
        "set_aside": {"path": "/var/lib/forebay/store.damaged-1795293200", "reason": "file is not a database"},
    }  # fmt: skip
    plant.buses = {"line-1": {"state": "down", "reason": "no such device", "overruns": 12}}
    plant.gateway = {"clock": "not set"}
    plant.programs = {"forebay-cloud": {"connected": False}}
    plant.events = happened(hour_ms)
    plant.attempts = [{"time_ms": now_ms() - 1000, "endpoint": "amqps://broker.example:5671", "step": "tls",
                       "outcome": "the certificate of broker.example has expired"}]


def happened(ago_ms):
    at = now_ms() - ago_ms
    return [
        {"time_ms": at, "severity": "info", "event": "started", "details": {"version": "0.1.0", "clock": "not set"}},
        {"time_ms": at + 1000, "severity": "warning", "event": "bus-down",
         "details": {"bus": "line-1", "reason": "no such device"}, "more": 12},
        {"time_ms": at + 2000, "severity": "alarm", "event": "readings-lost",
         "details": {"reason": "quota", "readings": 12345, "from_ms": at - 60_000, "to_ms": at}},
        {"time_ms": at + 3000, "severity": "warning", "event": "something-new", "details": {"x": {"y": [1]}}},
    ]


def test_a_good_gateway_is_called_good(page, plant, browser):
    browser.open(page.address)
    assert browser.text("#sentence") == "All good"
    assert browser.text("#name") == "plant-north" and browser.text("#problems") == ""
    assert "up" in browser.text("#link") and "amqps://broker.example:5671" in browser.text("#link")
    assert "5.0 GiB since the start, 1.2 GiB a day" in browser.text("#store")
    assert "3,600,000" in browser.text("#store") and "700 MiB of 8.0 GiB" in browser.text("#quota-label")
    assert "late 0.3 ms, at most 12.4 ms (99 %)" in browser.text("#buses")
    assert "answers in 41.5 ms, at most 99.0 ms (99 %)" in browser.text("#buses")
    assert browser.text("#counts") == "48 good, 0 uncertain, 0 bad"
    assert browser.console() == []


def test_values_move_on(page, plant, browser):
    browser.open(page.address)
    counter = ("flow-2", "counter")
    before = browser.row(*counter)
    browser.wait(lambda: browser.row(*counter)["value"] != before["value"], "the counter counts")
    assert re.fullmatch(r"\d,\d{3},\d{3},\d{3}", before["value"]) and before["unit"] == "pulses"
    assert before["quality"].split() == ["✓", "good"] and re.fullmatch(r"\d s", before["age"])


def test_a_proven_tag_says_by_whom_and_when(page, plant, browser):
    plant.proven = {("flow-2", "flow"): {"time_ms": 1795293200000, "who": "alice <b>"}}
    browser.open(page.address)
    browser.row("flow-2", "flow ◆")
    shown = browser.run("""
        const rows = [...document.querySelectorAll('.group tbody tr:not(.spacer)')];
        return rows.map((row) => [row.firstChild.innerText.trim(), row.firstChild.title,
          row.querySelector('.proof').ariaLabel]);""")
    proven = [one for one in shown if "◆" in one[0]]
    assert len(proven) == 1 and re.fullmatch(r"flow: proven on .*2026.* by alice <b>", proven[0][1])
    assert proven[0][2] == proven[0][1].removeprefix("flow: ")
    assert ["turbidity", "turbidity: not proven", "not proven"] in shown
    browser.wait(lambda: f"1 of {plant.tags} tags proven" in browser.text("#instruments"), "the instrument's are counted")
    assert f"0 of {plant.tags} tags proven" in browser.text("#instruments")
    box = browser.element("#filter")
    box.send_keys("flow-2 not proven")
    browser.wait(lambda: len(browser.rows()) == plant.tags - 1, "those that are not proven are found")
    box.clear()
    box.send_keys(" ")
    plant.proven = {}
    browser.wait(lambda: ("flow-2", "flow") in browser.rows(), "the mark goes")


def test_what_is_wrong_is_said_worst_first(page, plant, browser):
    spoil(plant)
    browser.open(page.address)
    problems = browser.texts("#problem-list li")
    assert "The disk takes no more readings" in problems[0] and "forebay-cloud is not running" in problems[1]
    assert any("stopped at TLS: the certificate of broker.example has expired" in text for text in problems)
    assert any("Bus line-1 is down: no such device" in text for text in problems)
    assert any("Instruments not good: 2 (flow-2, oxygen-4)" in text for text in problems)
    assert [text[0] for text in problems] == sorted((text[0] for text in problems), key="✕▲".index)
    assert f"(and {len(problems) - 1} more)" in browser.text("#sentence")
    link = browser.text("#link")
    assert "12 batches with 108,000 readings" in link and "Batch 4,711" in link and "rejected: no such tag" in link
    assert "500 MiB of 500 MiB" in link and "backlog waits for the next month" in link
    assert browser.texts("#steps li")[:4] == ["✓ DNS", "✓ TCP", "✕ TLS", "· SASL"]


def test_names_that_the_peer_does_not_take_are_a_problem_until_it_does(page, plant, browser):
    reason = "catalogue 3 is larger than the peer takes: 21480 bytes, it takes 18976"
    plant.link = {"catalogue": {"revision": 3, "reason": reason, "since_ms": now_ms() - 60_000, "refusals": 1}}
    browser.open(page.address)
    assert browser.texts("#problem-list li") == [f"✕ Readings arrive without the names of their tags: {reason}"]
    assert "Names of the tags" in browser.text("#link") and reason in browser.text("#link")
    plant.link = {"catalogue": None}
    browser.wait(lambda: browser.text("#sentence") == "All good", "it is over")
    assert "Names of the tags" not in browser.text("#link")


def test_the_days_left_to_certificates_are_shown_and_judged(page, plant, browser):
    plant.certificates += [
        certificate("page", "plant-north.example", 12), certificate("crl", "works CA", 3),
        certificate("authority", "old works CA", -40), certificate("gateway", None, None, "gateway.pem: Permission denied"),
    ]  # fmt: skip
    browser.open(page.address)
    shown, problems = browser.text("#link"), browser.texts("#problem-list li")
    assert "300 days" in shown and "gateway plant-north" in shown and "revocation list works CA" in shown
    assert problems == [
        "✕ A certificate cannot be read: gateway.pem: Permission denied",
        "▲ Expires in 12 days: page plant-north.example",
        "▲ Expired: authority old works CA",
    ]
    plant.certificates = [certificate("broker", "broker.example", -1)]
    browser.open(page.address)
    assert browser.texts("#problem-list li") == ["✕ Expired: broker broker.example"]


def test_a_text_stands_as_it_is(page, plant, browser):
    said = 'backwash <b>3</b> & "rinse"'
    plant.said = {("flow-2", "counter"): said, ("flow-2", "flow"): "007"}
    browser.open(page.address)
    assert browser.row("flow-2", "counter")["value"] == said
    assert browser.row("flow-2", "flow")["value"] == "007"
    assert browser.console() == []


def test_a_bad_reading_has_a_reason_and_no_value(page, plant, browser):
    spoil(plant)
    browser.open(page.address)
    bad, uncertain = browser.row("flow-2", "flow"), browser.row("flow-6", "flow")
    assert bad["value"] == "–" and bad["quality"] == "✕ bad: timeout"
    assert uncertain["value"] != "–" and uncertain["quality"] == "▲ uncertain: stale"
    assert browser.texts("#instruments tr")[0].startswith("flow-2")


def test_what_happened_is_told_newest_first(page, plant, browser):
    spoil(plant)
    browser.open(page.address)
    browser.wait(lambda: len(browser.texts("#events tr")) == 5, "the events are there")
    told = browser.texts("#events tr")
    assert "Attempt amqps://broker.example:5671: TLS" in told[0] and "has expired" in told[0]
    assert "▲ something new" in told[1] and '{"y":[1]}' in told[1]
    assert "✕ Readings lost" in told[2] and "quota, 12,345 readings, from " in told[2]
    assert "▲ Bus down (and 12 more)" in told[3] and "line-1, no such device" in told[3]
    assert "Forebay has started" in told[4] and "?" not in told[4]
    plant.events.append({"time_ms": now_ms(), "severity": "info", "event": "link-up"})
    browser.wait(lambda: "Link up" in browser.texts("#events tr")[0], "a new one comes on top")
    assert browser.console() == []


def test_work_on_the_store_shows_how_far_it_is(page, plant, browser):
    spoil(plant)
    browser.open(page.address)
    jobs = browser.texts("#upkeep li")
    assert jobs[0] == "Salvage: running, 41.5%" and jobs[2] == "Integrity check: waiting, 0.0%"
    assert jobs[1].startswith("✕ Change of the key: failed: the copy needs 8200 MB")
    bar = browser.element("#upkeep [role=progressbar]")
    assert bar.get_attribute("aria-valuenow") in ("41", "42") and bar.get_attribute("aria-label") == "Salvage"
    plant.store = {}
    browser.wait(lambda: browser.text("#upkeep") == "", "what is done goes")


def test_a_full_disk_and_a_store_set_aside_are_told(page, plant, browser):
    spoil(plant)
    browser.open(page.address)
    problems = browser.texts("#problem-list li")
    assert any("the disk is full: 3 new tags wait until it has room" in text for text in problems)
    assert any("set aside at start: file is not a database" in text for text in problems)
    shown = browser.text("#store")
    assert re.search(r"New tags that wait for room\s*✕ 3\b", shown), shown
    assert re.search(r"Readings lost\s*▲ 12\b", shown), shown
    assert "/var/lib/forebay/store.damaged-1795293200" in shown
    plant.store = {}
    browser.wait(lambda: "New tags" not in browser.text("#store"), "they wait no more")


def test_without_a_cloud_the_link_is_no_problem(page, plant, browser):
    plant.link = {"configured": False, "state": "off"}
    plant.programs = {"forebay-cloud": {"connected": False}}
    browser.open(page.address)
    assert browser.text("#sentence") == "All good"
    assert "The configuration has no cloud." in browser.text("#link")


def test_a_link_that_takes_nothing_is_not_called_good(page, plant, browser):
    plant.link = {"last_accepted_ms": now_ms() - 600_000}
    browser.open(page.address)
    assert "nothing was accepted since" in browser.text("#sentence")


def test_a_status_with_gaps_is_shown(page, plant, browser):
    plant.status_without = {
        "link": ("step", "tls", "retry_at_ms", "endpoint"), "buses": ("errors", "since_ms", "requests"),
        "instruments": ("since_ms", "last_good_ms"),
    }  # fmt: skip
    plant.link = {"state": "off"}
    browser.open(page.address)
    assert "hall-1" in browser.text("#buses") and "never" in browser.text("#instruments")
    assert "undefined" not in browser.text("body") and "NaN" not in browser.text("body")


@pytest.mark.parametrize("how", ["hang up", "silence"])
def test_a_lost_gateway_is_told_and_nothing_stays_good(page, plant, player, browser, how):
    browser.open(page.address)
    browser.wait(lambda: browser.is_live() and browser.rows(), "values are shown")
    player.silent = True
    if how == "hang up":
        player.hang_up()
    browser.wait(lambda: "No connection to the gateway since" in browser.text("#lost"), "the loss is told")
    assert {row["quality"] for row in browser.rows().values()} == {"? unknown"}
    for selector in ("#sentence", "#link", "#store", "#buses", "#instruments", "#counts"):
        assert not re.search(r"\bgood\b|\bup\b", browser.text(selector)), selector
    player.silent = False
    player.hang_up()
    browser.wait(lambda: browser.is_live() and browser.text("#sentence") == "All good", "the page recovers", 20)
    assert browser.text("#lost") == ""


def test_the_filter_finds_names_units_and_qualities(page, plant, browser):
    plant.bad = {"flow-2": "timeout"}
    browser.open(page.address)
    box = browser.element("#filter")
    for words, expected in (("nitrate-3 ph", 1), ("°c", 6), ("timeout", 8), ("nothing-like-it", 0)):
        box.clear()
        box.send_keys(words)
        browser.wait_for_rows(expected)
    assert "No tag matches" in browser.text("#shown")
    box.clear()
    browser.element("#not-good").click()
    browser.wait(lambda: {name for name, _ in browser.rows()} == {"flow-2"}, "only the bad ones are left")
    plant.bad = {"oxygen-4": "timeout"}
    browser.wait(lambda: {name for name, _ in browser.rows()} == {"oxygen-4"}, "the rows follow the qualities")


def test_a_reloaded_configuration_adds_and_removes_tags(page, plant, browser):
    browser.open(page.address)
    plant.names = [*plant.names[:2], "new-1"]
    plant.loaded_ms += 1000
    browser.wait(lambda: {name for name, _ in browser.rows()} == set(plant.names), "the tables follow")
    browser.wait(lambda: browser.text("#counts") == "24 good, 0 uncertain, 0 bad", "the rest is not counted any more")


def test_names_are_text_and_never_markup(page, plant, browser):
    evil = "<img src=x onerror=document.title='taken'>"
    plant.names[0] = plant.name = evil
    plant.bad = {evil: evil}
    plant.link = {"state": "waiting", "step": "tcp", "reason": evil}
    browser.open(page.address)
    assert browser.text("#name") == evil and evil in browser.text("#link")
    assert browser.run("return document.querySelectorAll('img').length") == 0 and browser.console() == []


def test_numbers_are_readable(page, plant, browser):
    browser.open(page.address)
    shown = browser.driver.execute_async_script("""
        const done = arguments[0];
        import('./format.js').then((format) => done([
          format.measured(0.41999998688697815, format.decimalsOf(0.41999998688697815)), format.measured(1234567.891, 3),
          format.measured(0, 2), format.measured(-12.5, 2), format.measured(1e300, 0), format.measured(3.2e-9, 6),
          format.measured(99999.6, 1), format.bytes(1023), format.bytes(8589934592), format.age(3723000),
          format.age(-5)]));""")
    assert shown == ["0.42", "1,234,568", "0.00", "-12.50", "1E300", "3.2E-9", "100,000", "1,023 B", "8.0 GiB",
                     "1 h 02 min", "0 s"]


ROWS_MOST = 1500  # that are there, or made at once, while somebody scrolls past a third of them


def scroll(browser):
    """Each step behind the one before, while values come twice a second. The page's tasks of more than 50 ms, longest first,
    and the most nodes that one task made."""
    tasks, made = browser.driver.execute_async_script("""
        const done = arguments[0], tasks = [], made = [0];
        new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)))
          .observe({ type: 'longtask' });
        new MutationObserver((list) => made.push(list.reduce((sum, one) => sum + one.addedNodes.length, 0)))
          .observe(document.body, { childList: true, subtree: true });
        const step = (number) => {
          scrollTo(0, number * 1000);
          if (number < 40) requestAnimationFrame(() => setTimeout(step, 100, number + 1));
          else setTimeout(() => done([tasks, Math.max(...made)]), 500);
        };
        step(1);""")
    return sorted(tasks, reverse=True), made


def test_thousands_of_tags_do_not_freeze_the_page(page, plant, player, browser):
    player.plant = Plant(instruments=250, tags=20)
    browser.open(page.address)
    assert browser.text("#counts") == "5,000 good, 0 uncertain, 0 bad"
    rows = "return document.querySelectorAll('td.value').length"
    assert browser.run(rows) < ROWS_MOST, "rows nobody sees are not made"
    tasks, made = scroll(browser)
    assert made < ROWS_MOST and browser.run(rows) < ROWS_MOST, "rows nobody sees are not made"
    # A machine that stops makes a task long, or two; a page that freezes does so with each step or each second's values.
    assert len(tasks) < 3 or tasks[2] < 1000, tasks
    browser.run("scrollTo(0, document.body.scrollHeight)")
    last = browser.texts(".group h3")[-1]
    browser.wait(lambda: any(name == last for name, _ in browser.rows()), "the last table has rows")


@pytest.mark.parametrize("language", ["en", "nl"])
@pytest.mark.parametrize("width", WIDTHS)
def test_never_scrolls_sideways(page, plant, player, browser, width, language):
    spoil(plant)
    plant.said = {("turbidity-1", "counter"): "W" * 63}
    with browser.size(width):
        browser.open(page.address)
        browser.element(f"#language [value={language}]").click()
        assert browser.sideways() == 0
        player.silent = True
        player.hang_up()
        browser.wait(lambda: browser.text("#lost") != "", "the loss is told")
        assert browser.sideways() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(page, plant, player, browser, scheme):
    spoil(plant)
    browser.scheme(scheme)
    browser.open(page.address)
    assert browser.faint() == []
    player.silent = True
    player.hang_up()
    browser.wait(lambda: browser.text("#lost") != "", "the loss is told")
    assert browser.faint() == []


def test_the_keyboard_reaches_every_control(page, plant, browser):
    browser.open(page.address)
    stops = browser.tab_stops()
    tables = ["buses-title", "instruments-title", "events-title"]
    assert stops == ["Skip to the live values", "English", "Nederlands", *tables, "filter", "not-good"]


def test_the_language_is_remembered(page, plant, browser):
    plant.bad = {"flow-2": "timeout"}
    browser.open(page.address)
    browser.element("#language [value=nl]").click()
    browser.open(page.address, anew=False)
    assert browser.run("return document.documentElement.lang") == "nl"
    assert browser.text("#link-title") == "Verbinding" and "goed" in browser.text("#counts")
    assert browser.row("flow-2", "flow")["quality"].split() == ["✕", "slecht:", "geen", "antwoord"]
    assert re.fullmatch(r"\d\.\d{3}\.\d{3}\.\d{3}", browser.row("nitrate-3", "counter")["value"])
    browser.element("#language [value=en]").click()
    assert browser.text("#link-title") == "Link"


def test_both_languages_say_the_same():
    english, dutch = (dict(re.findall(r"^  (\w+): '(.*)',$", part, re.M))
                      for part in re.split(r"const (?:englishWords|dutch) = ", (WEB / "texts.js").read_text())[:2])
    assert len(english) > 60 and english.keys() == dutch.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", dutch[key])), key


def test_every_text_of_the_page_has_its_english_words_in_the_file():
    texts = dict(re.findall(r"^  (\w+): '(.*)',$", (WEB / "texts.js").read_text().split("const dutch")[0], re.M))
    for key, text in re.findall(r'data-text="(\w+)">([^<]*)<', (WEB / "index.html").read_text()):
        assert texts[key] == text
