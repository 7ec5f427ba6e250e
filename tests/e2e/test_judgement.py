"""Instruments that answer well and say that their values are not to be trusted, and registers that are not there: each
reading has the quality that follows, and no other reading suffers."""

import contextlib
import time

import pytest
from common import wait_until
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import tcp_part
from simulator import Simulator, block

BUS = "hall-1"
DURATION_S = 9
LATE, EXCEPTIONS_LEAST = 4, 10
GOOD = ("good", "", 0)
MAINTENANCE = ("uncertain", "maintenance", 0)
STALE = ("bad", "stale heartbeat", 0)


def bad(reason, detail=0):
    return ("bad", reason, detail)


# instrument: (what the simulator holds, more keys of the instrument,
#              {tag: (its keys, what its readings must say once all is known, value or None)}).
COUNTER = block("holding", 90, "uint16", "sequence")
INSTRUMENTS = {
    "sentinels": (
        [block("holding", 0, "uint16", "constant", value=0xFFFF), block("holding", 1, "int32", "constant", value=-5),
         block("holding", 3, "uint16", "constant", value=0xFFFE)],
        {},
        {"no-value": ({"address": 0, "type": "uint16", "no_value": ["0xFFFF"]}, bad("no value"), None),
         "negative": ({"address": 1, "type": "int32", "no_value": ["-5", "7"]}, bad("no value"), None),
         "value": ({"address": 3, "type": "uint16", "no_value": ["0xFFFF"]}, GOOD, 0xFFFE)},
    ),
    "digits": (
        [block("holding", 0, "bcd16", "constant", value=1234), block("holding", 1, "bcd32", "constant", value=87654321),
         block("holding", 3, "uint16", "constant", value=0x12A4)],
        {},
        {"four": ({"address": 0, "type": "bcd16"}, GOOD, 1234),
         "eight": ({"address": 1, "type": "bcd32"}, GOOD, 87654321),
         "wrong": ({"address": 3, "type": "bcd16"}, bad("not a number"), None)},
    ),
    "bits": (
        [block("holding", 0, "uint16", "constant", value=0xA5C3)],
        {},
        {"field": ({"address": 0, "type": "uint16", "bits": "4..11"}, GOOD, 0x5C),
         "one": ({"address": 0, "type": "bit", "bits": "15"}, GOOD, True),
         "other": ({"address": 0, "type": "bit", "bits": "2"}, GOOD, False)},
    ),
    "status": (
        [block("input", 0, "uint16", "constant", count=4, value=0x8001)],
        {},
        {"fault": ({"address": 0, "status": {"address": 1, "fault": "0x8000"}}, bad("instrument fault"), None),
         "service": ({"address": 0, "status": {"address": 2, "fault": "0x4000", "maintenance": 1}}, MAINTENANCE, 32769),
         "clear": ({"address": 0, "status": {"address": 3, "fault": "0x4000", "maintenance": 2}}, GOOD, 32769)},
    ),
    "alive": (
        [block("holding", 0, "uint16", "constant", value=7), COUNTER],
        {"heartbeat": {"address": 90, "interval": "500ms"}},
        {"value": ({"address": 0, "type": "uint16"}, GOOD, 7)},
    ),
    "stopped": (
        [block("holding", 0, "uint16", "constant", value=7), block("holding", 90, "uint16", "constant", value=1)],
        {"heartbeat": {"address": 90, "interval": "500ms"}},
        {"value": ({"address": 0, "type": "uint16"}, STALE, None)},
    ),
    "mute": (  # its heartbeat is not even there
        [block("holding", 0, "uint16", "constant", value=7)],
        {"heartbeat": {"address": 900, "interval": "500ms"}},
        {"value": ({"address": 0, "type": "uint16"}, STALE, None)},
    ),
    "serviced": (
        [block("holding", 0, "uint16", "constant", value=7), block("coil", 3, "bit", "constant", value=1)],
        {"service": {"table": "coil", "address": 3, "interval": "500ms"}},
        {"value": ({"address": 0, "type": "uint16"}, MAINTENANCE, 7)},
    ),
    "hole": (
        [block("holding", 0, "uint16", "constant", count=3, value=1),
         block("holding", 5, "uint16", "constant", value=2)],
        {},
        {"before": ({"address": 2, "type": "uint16"}, GOOD, 1),
         "behind": ({"address": 5, "type": "uint16"}, GOOD, 2)},
    ),
    "absent": (  # one wrong address among good ones
        [block("holding", 0, "uint16", "constant", count=3, value=1),
         block("holding", 4, "uint16", "constant", value=2)],
        {},
        {"before": ({"address": 2, "type": "uint16"}, GOOD, 1),
         "wrong": ({"address": 3, "type": "uint16"}, bad("exception", 2), None),
         "behind": ({"address": 4, "type": "uint16"}, GOOD, 2)},
    ),
    "small": (  # answers fewer registers at once than configured
        [block("holding", 0, "uint16", "constant", count=40, value=3)],
        {},
        {f"r{i}": ({"address": i, "type": "uint16"}, GOOD, 3) for i in range(40)},
    ),
}  # fmt: skip
NAMES = list(INSTRUMENTS)


def describe():
    units = []
    for number, name in enumerate(NAMES, 1):
        units.append({"unit": number, "blocks": INSTRUMENTS[name][0]})
    units[NAMES.index("small")]["registers_most"] = 16
    return {"tcp": [{"name": BUS, "units": units}]}


def configure(where):
    instruments = []
    for number, (name, (_, more, tags)) in enumerate(INSTRUMENTS.items(), 1):
        entries = []
        for tag, (keys, _, _) in tags.items():
            entry = {"name": tag, "type": "uint16", **keys}
            if name == "status":
                entry["table"] = "input"
            if entry["type"] in ("int32", "bcd32"):
                entry["word_order"] = "abcd"
            entries.append(entry)
        head = {"name": name, "bus": BUS, "unit": number, "addresses": "base-0", "interval": "500ms"}
        instruments.append({**head, **more, "tags": entries})
    return {"buses": [tcp_part(BUS, where[BUS])], "instruments": instruments}


class Outcome:
    def __init__(self, by_tag, errors, since_s, polled_s):
        self.by_tag, self.errors, self.since_s, self.polled_s = by_tag, errors, since_s, polled_s


def all_known(gateway):
    """Whether every value is as it will stay."""
    now = {(one["instrument"], one["name"]): (one["quality"], one["reason"]) for one in gateway.call("values")["values"]}
    return all(now[name, tag] == words[:2] for name, (_, _, tags) in INSTRUMENTS.items() for tag, (_, words, _) in tags.items())


def late_readings(consumer, tags, since_s):
    """Of the tag that has the fewest since then."""
    by_tag = consumer.view().by_tag()
    return min(sum(one.time_ms / 1000 >= since_s for one in by_tag.get(tag, ())) for tag in tags)


def run(site):
    folder = site.folder("judgement")
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "judged", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", describe()))
        cloud = cloud_part(site.broker.port, "judged", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**configure(sim.where), "cloud": cloud}))
        began_s = time.time()
        gateway.start().wait_for_link()
        time.sleep(DURATION_S / 2)
        wait_until(lambda: all_known(gateway), 30, "all is known")
        since_s = time.time()
        time.sleep(DURATION_S / 2)
        every = {(name, tag): None for name, (_, _, tags) in INSTRUMENTS.items() for tag in tags}
        wait_until(lambda: late_readings(consumer, every, since_s) >= LATE, 60, "enough readings since", every_s=0.5)
        status = gateway.wait_for_status(
            lambda now: now["buses"][0]["errors"]["exception"] >= EXCEPTIONS_LEAST, 20, "the figures follow"
        )
        errors, polled_s = status["buses"][0]["errors"], time.time() - began_s
        gateway.stop()
        return Outcome(consumer.view().by_tag(), errors, since_s, polled_s)


pytestmark = pytest.mark.scenario(run, turn=3)


@pytest.mark.parametrize("name, tag", [(name, tag) for name in NAMES for tag in list(INSTRUMENTS[name][2])[:3]])
def test_the_reading_says_what_follows(outcome, name, tag):
    _, words, value = INSTRUMENTS[name][2][tag]
    late = [one for one in outcome.by_tag[name, tag] if one.time_ms / 1000 >= outcome.since_s]
    assert len(late) >= LATE
    assert {(one.quality, one.reason, one.detail) for one in late} == {words}
    assert {one.value for one in late} == {value}


@pytest.mark.parametrize("name, tag", [("alive", "value"), ("hole", "before"), ("hole", "behind"), ("small", "r39")])
def test_what_is_good_in_the_end_was_never_bad(outcome, name, tag):
    assert {(one.quality, one.reason, one.detail) for one in outcome.by_tag[name, tag]} == {GOOD}


def test_only_what_is_refused_for_good_counts_as_an_exception(outcome):
    """The wrong address and the heartbeat that is not there: once a cycle each, whatever they were read with."""
    assert outcome.errors["timeout"] == outcome.errors["bad reply"] == 0
    assert EXCEPTIONS_LEAST <= outcome.errors["exception"] <= 2 * (outcome.polled_s + 1) * 2
