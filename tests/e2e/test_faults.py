"""Controllers that misbehave in every way: the receiver gets a bad reading with the reason, and never a wrong value."""

import collections
import contextlib
import time

import pytest
from common import wait_until
from compare import Tag, compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import instrument_part, named, rtu_part, rtu_tcp_part, tcp_part
from simulator import Simulator, block

# Long enough that an honest reply is in time on a busy machine, too.
TIMEOUT_MS = 1200
# A late reply comes half a time-out after the gateway has given up, and half a one before it asks again.
LATE = f"late {TIMEOUT_MS * 3 // 2}"
# A frame of at least 17 bytes that takes longer than the time-out.
DRIP_TOO_SLOW = f"drip {TIMEOUT_MS // 10}"
REPLIES = 2  # spoilt in a row
# Until all of them have been spoilt: each may cost a time-out, as much rest, and the interval of a second.
FAULTS_S = REPLIES * (2 * TIMEOUT_MS / 1000 + 1) + 1

BAD_REPLY, TIMEOUT = ("bad", "bad reply", 0), ("bad", "timeout", 0)
GOOD = ("good", "", 0)
COUNTED = ("timeout", "exception", "bad reply", "not connected")

# bus: (what the simulator does, what the readings may say meanwhile). Each bus has one instrument of its own.
TCP_FAULTS = {
    "tcp-silent": ("silent", {TIMEOUT}),
    "tcp-late": (LATE, {TIMEOUT}),
    "tcp-illegal-address": ("exception 2", {("bad", "exception", 2)}),
    "tcp-busy": ("exception 6", {("bad", "exception", 6)}),
    "tcp-wrong-transaction": ("wrong-transaction", {BAD_REPLY}),
    "tcp-wrong-unit": ("wrong-unit", {BAD_REPLY}),
    "tcp-wrong-function": ("wrong-function", {BAD_REPLY}),
    "tcp-short": ("short", {BAD_REPLY}),
    "tcp-long": ("long", {BAD_REPLY}),
    "tcp-cut": ("cut", {TIMEOUT, BAD_REPLY}),
    "tcp-garbage": ("garbage", {BAD_REPLY, TIMEOUT}),
    "tcp-close": ("close", {("bad", "not connected", 0)}),
    "tcp-duplicate": ("duplicate", {GOOD, BAD_REPLY}),
    "tcp-nan": ("nan", {("bad", "not a number", 0)}),
    "tcp-frozen": ("freeze", {GOOD}),
    "tcp-infinite": ("infinite", {("bad", "not a number", 0)}),
    "tcp-zeros": ("zeros", {BAD_REPLY}),
    "tcp-noise": ("noise", {BAD_REPLY, TIMEOUT}),
    "tcp-trailing": ("trailing", {GOOD, BAD_REPLY, TIMEOUT}),
    "tcp-drip": ("drip 5", {GOOD}),
    "tcp-drip-too-slow": (DRIP_TOO_SLOW, {BAD_REPLY}),
    "tcp-wrong-count": ("wrong-count", {BAD_REPLY}),
    "tcp-wrong-exception": ("wrong-exception 2", {BAD_REPLY}),
    "tcp-long-exception": ("long-exception 6", {BAD_REPLY}),
    "tcp-wrong-protocol": ("wrong-protocol", {BAD_REPLY}),
    "tcp-wrong-length": ("wrong-length", {BAD_REPLY}),
    "tcp-last": ("last", {GOOD}),
    "tcp-cut-and-close": ("cut-and-close", {("bad", "not connected", 0)}),
    "tcp-no-function": ("exception 1", {("bad", "exception", 1)}),
    "tcp-too-many": ("exception 3", {("bad", "exception", 3)}),
    "tcp-failure": ("exception 4", {("bad", "exception", 4)}),
    "tcp-acknowledge": ("exception 5", {("bad", "exception", 5)}),
    "tcp-negative": ("exception 7", {("bad", "exception", 7)}),
    "tcp-parity": ("exception 8", {("bad", "exception", 8)}),
    "tcp-no-path": ("exception 10", {("bad", "exception", 10)}),
    "tcp-no-target": ("exception 11", {("bad", "exception", 11)}),
    "tcp-unknown-exception": ("exception 200", {("bad", "exception", 200)}),
    "tcp-cut-and-reset": ("cut-and-reset", {("bad", "not connected", 0)}),
    "tcp-twice": ("twice", {GOOD, BAD_REPLY}),
    "tcp-echo": ("echo", {BAD_REPLY}),
    "tcp-echo-only": ("echo-only", {BAD_REPLY}),
    "tcp-empty": ("empty", {BAD_REPLY}),
    "tcp-stub": ("stub", {BAD_REPLY}),
    "tcp-broadcast": ("broadcast", {BAD_REPLY}),
    "tcp-babble": ("babble 800", {BAD_REPLY}),
}
RTU_FAULTS = {
    "rtu-silent": ("silent", {TIMEOUT}),
    "rtu-late": (LATE, {TIMEOUT, BAD_REPLY}),
    "rtu-busy": ("exception 6", {("bad", "exception", 6)}),
    "rtu-bad-crc": ("bad-crc", {BAD_REPLY}),
    "rtu-wrong-unit": ("wrong-unit", {BAD_REPLY}),
    "rtu-wrong-function": ("wrong-function", {BAD_REPLY}),
    "rtu-short": ("short", {BAD_REPLY}),
    "rtu-long": ("long", {BAD_REPLY}),
    "rtu-cut": ("cut", {TIMEOUT, BAD_REPLY}),
    "rtu-garbage": ("garbage", {BAD_REPLY, TIMEOUT}),
    "rtu-duplicate": ("duplicate", {GOOD, BAD_REPLY}),
    "rtu-nan": ("nan", {("bad", "not a number", 0)}),
    "rtu-zeros": ("zeros", {BAD_REPLY}),
    "rtu-noise": ("noise", {BAD_REPLY, TIMEOUT}),
    "rtu-trailing": ("trailing", {GOOD, BAD_REPLY}),
    "rtu-drip": ("drip 5", {GOOD}),
    "rtu-wrong-count": ("wrong-count", {BAD_REPLY}),
    "rtu-wrong-exception": ("wrong-exception 2", {BAD_REPLY}),
    "rtu-no-target": ("exception 11", {("bad", "exception", 11)}),
    "rtu-infinite": ("infinite", {("bad", "not a number", 0)}),
    "rtu-drip-too-slow": (DRIP_TOO_SLOW, {BAD_REPLY}),
    "rtu-long-exception": ("long-exception 6", {BAD_REPLY}),
    "rtu-twice": ("twice", {GOOD, BAD_REPLY}),
    "rtu-echo": ("echo", {BAD_REPLY}),
    "rtu-echo-only": ("echo-only", {BAD_REPLY}),
    "rtu-empty": ("empty", {BAD_REPLY}),
    "rtu-stub": ("stub", {BAD_REPLY}),
    "rtu-broadcast": ("broadcast", {BAD_REPLY}),
    "rtu-swapped-crc": ("swapped-crc", {BAD_REPLY}),
    "rtu-other-bit": ("other-bit", {BAD_REPLY}),
    "rtu-babble": ("babble 800", {BAD_REPLY}),
}
SERVER_FAULTS = {
    "server-silent": ("silent", {TIMEOUT}),
    "server-late": (LATE, {TIMEOUT, BAD_REPLY}),
    "server-busy": ("exception 6", {("bad", "exception", 6)}),
    "server-bad-crc": ("bad-crc", {BAD_REPLY}),
    "server-wrong-unit": ("wrong-unit", {BAD_REPLY}),
    "server-wrong-function": ("wrong-function", {BAD_REPLY}),
    "server-wrong-count": ("wrong-count", {BAD_REPLY}),
    "server-cut": ("cut", {BAD_REPLY}),
    "server-garbage": ("garbage", {BAD_REPLY, TIMEOUT}),
    "server-noise": ("noise", {BAD_REPLY, TIMEOUT}),
    "server-trailing": ("trailing", {GOOD, BAD_REPLY}),
    "server-close": ("close", {("bad", "not connected", 0)}),
    "server-last": ("last", {GOOD}),
    "server-short": ("short", {BAD_REPLY}),
    "server-long": ("long", {BAD_REPLY}),
    "server-duplicate": ("duplicate", {GOOD, BAD_REPLY}),
    "server-twice": ("twice", {GOOD, BAD_REPLY}),
    "server-echo": ("echo", {BAD_REPLY}),
    "server-empty": ("empty", {BAD_REPLY}),
    "server-drip": ("drip 5", {GOOD}),
    "server-cut-and-close": ("cut-and-close", {("bad", "not connected", 0)}),
    "server-cut-and-reset": ("cut-and-reset", {("bad", "not connected", 0)}),
    "server-nan": ("nan", {("bad", "not a number", 0)}),
    "server-swapped-crc": ("swapped-crc", {BAD_REPLY}),
    "server-babble": ("babble 800", {BAD_REPLY}),
}
FAULTS = TCP_FAULTS | RTU_FAULTS | SERVER_FAULTS
DOWN = ("tcp-down", "rtu-unplugged", "server-down")
# Instruments that answer a read over registers that they lack with those in front of them.
LACKING = ("tcp-lacking", "rtu-lacking", "server-lacking")
LACK_REPLIES = 3  # until it is believed: SUBJECT_SHORT_REPLIES
RANGES = {
    "inside": (20.0, ("good", "")),
    "below": (-3.0, ("uncertain", "below range")),
    "above": (70.5, ("uncertain", "above range")),
}

# Values that differ in each reply, floats so that NaN can be told.
BLOCKS = [block("holding", 10, "float32", "sequence", count=3)]
UNITS = [{"unit": 5, "blocks": BLOCKS}]
LACKING_UNITS = [{"unit": 5, "short": True, "blocks": [
    block("holding", 10, "float32", "sequence", count=2), block("holding", 18, "float32", "sequence", count=1),
]}]  # fmt: skip


def tags_of(bus):
    addresses = (10, 12, 18) if bus in LACKING else (10, 12, 14)
    return {f"t{i}": Tag(bus, 5, "holding", address, "float32") for i, address in enumerate(addresses)}


def describe(folder):
    """The simulator's description: a bus for each fault."""
    ranges = [
        block("input", 2 * i, "float32", "constant", value=value) for i, (value, _) in enumerate(RANGES.values())
    ]
    tcp = [{"name": name, "units": UNITS} for name in (*TCP_FAULTS, DOWN[0])]
    tcp.append({"name": "ranges", "units": [{"unit": 5, "blocks": ranges}]})
    rtu = [{"name": name, "link": str(folder / name), "units": UNITS} for name in (*RTU_FAULTS, DOWN[1])]
    server = [{"name": name, "units": UNITS} for name in (*SERVER_FAULTS, DOWN[2])]
    tcp.append({"name": LACKING[0], "units": LACKING_UNITS})
    rtu.append({"name": LACKING[1], "link": str(folder / LACKING[1]), "units": LACKING_UNITS})
    server.append({"name": LACKING[2], "units": LACKING_UNITS})
    return {"tcp": tcp, "rtu": rtu, "rtu_tcp": server}


def configure(where):
    parts = {"rtu": rtu_part, "server": rtu_tcp_part}
    buses = [
        parts.get(name.split("-")[0], tcp_part)(name, place, timeout=f"{TIMEOUT_MS}ms" if name in FAULTS else "5s")
        for name, place in where.items()
    ]
    instruments = [instrument_part(name, name, 5, tags_of(name)) for name in where if name != "ranges"]
    tags = {name: Tag("ranges", 5, "input", 2 * i, "float32") for i, name in enumerate(RANGES)}
    instruments.append(instrument_part("ranges", "ranges", 5, tags))
    for entry in instruments[-1]["tags"]:
        entry.update(min=0, max=50)
    return {"buses": buses, "instruments": instruments}


class Outcome:
    def __init__(self, record, by_tag, tags, times):
        self.record, self.by_tag, self.tags = record, by_tag, tags
        self.since_s, self.fault_s, self.end_s = times

    def words_at_end(self, bus):
        """In the last moments, and with the first reading after them, of which there is one in any case."""
        after_s = {name: [one.time_ms / 1000 for one in self.by_tag[bus, name]] for name in tags_of(bus)}
        first_s = max(min(time_s for time_s in times_s if time_s > self.end_s) for times_s in after_s.values())
        return self.words(bus, self.end_s - 1.5, first_s)

    def words(self, bus, since_s, until_s):
        """What the readings of the bus's instrument say in that time."""
        found = set()
        for name in tags_of(bus):
            for one in self.by_tag[bus, name]:
                if since_s <= one.time_ms / 1000 <= until_s:
                    found.add((one.quality, one.reason, one.detail))
        return found


def word_of(bus):
    """What the figures of the bus must count, if its fault can be told as one thing only."""
    words = {words for words in FAULTS[bus][1] if words[0] == "bad" and words[1] in COUNTED and words[2] in (0, 6)}
    return words.pop()[1] if len(words) == len(FAULTS[bus][1]) == 1 else None


def all_spoilt(sim):
    """Whether every bus has had all its spoilt replies."""
    spoilt = collections.Counter(one["bus"] for one in sim.record() if one["fault"])
    return all(spoilt[bus] >= REPLIES for bus in FAULTS)


def all_told(status):
    buses = {bus["name"]: bus for bus in status["buses"]}
    counted = all(buses[bus]["errors"][word_of(bus)] >= 1 for bus in FAULTS if word_of(bus))
    return counted and all(buses[bus]["state"] == "down" for bus in DOWN)


def run(site):
    folder = site.folder("faults")
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "input", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", describe(folder)))
        cloud = cloud_part(site.broker.port, "input", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**configure(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        gateway.wait_for_buses()
        since_s = time.time() + 0.1
        time.sleep(3)
        fault_s = time.time()
        for bus, (fault, _) in FAULTS.items():
            sim.say(f"fault {bus} 5 {fault} times {REPLIES}")
        for bus in DOWN:
            sim.say(f"down {bus}")
        down_s = time.time()
        time.sleep(FAULTS_S)
        wait_until(lambda: all_spoilt(sim), 60, "all replies have been spoilt", every_s=0.5)
        up_s = time.time()
        # Workers tell their figures every two seconds.
        status = gateway.wait_for_status(all_told, 20, "the faults are told")
        states = {bus["name"]: (bus["state"], bus["errors"]) for bus in status["buses"]}
        for bus in DOWN:
            sim.say(f"up {bus}")
        gateway.wait_for_buses()
        time.sleep(3)
        end_s = time.time()
        tags = {tag: one for bus in (*FAULTS, *DOWN, *LACKING) for tag, one in named(bus, tags_of(bus)).items()}
        consumer.wait_for_readings(tags, end_s)
        gateway.stop()
        outcome = Outcome(sim.record(), consumer.view().by_tag(), tags, (since_s, fault_s, end_s))
        outcome.states, outcome.down_s, outcome.up_s = states, down_s, up_s
        return outcome


pytestmark = pytest.mark.scenario(run, turn=3)


def test_no_value_is_wrong_made_up_or_lost(outcome):
    found = compare(outcome.record, outcome.by_tag, outcome.tags, outcome.since_s, outcome.end_s)
    assert not found.wrong and not found.extra, str(found)
    # After a duplicate the gateway may rightly distrust the honest reply that it cannot tell from a late one.
    lost = [entry for _, entry in found.missing if not entry["bus"].endswith(("-duplicate", "-twice"))]
    until_s = outcome.up_s
    far = [
        entry for entry in lost
        if not (entry["bus"] in FAULTS and (entry["fault"] or outcome.fault_s <= entry["t"] <= until_s))
    ]
    assert not far, f"honest replies without a reading; faults until {until_s:.3f}: {far[:5]}"


@pytest.mark.parametrize("bus", FAULTS)
def test_the_reading_says_what_was_wrong(outcome, bus):
    assert outcome.words(bus, outcome.since_s, outcome.fault_s) == {GOOD}
    during = outcome.words(bus, outcome.fault_s, outcome.end_s)
    allowed = FAULTS[bus][1]
    assert during <= allowed | {GOOD}, during
    assert during & allowed, during
    assert outcome.words_at_end(bus) == {GOOD}


@pytest.mark.parametrize("bus", DOWN)
def test_a_bus_that_is_away_is_not_connected(outcome, bus):
    during = outcome.words(bus, outcome.down_s + 1, outcome.up_s)
    assert during == {("bad", "not connected", 0)}, during
    assert outcome.states[bus][0] == "down"
    assert outcome.words_at_end(bus) == {GOOD}


@pytest.mark.parametrize("bus", LACKING)
def test_what_is_answered_with_less_is_read_around(outcome, bus):
    """Not one value of a short reply is used, and the hole is found once."""
    asked = [(one["address"], one["count"]) for one in outcome.record if one["bus"] == bus]
    assert asked[:LACK_REPLIES] == [(10, 10)] * LACK_REPLIES
    assert set(asked[LACK_REPLIES:]) == {(10, 4), (18, 2)}
    for name in tags_of(bus):
        words = [(one.quality, one.reason, one.detail) for one in outcome.by_tag[bus, name]]
        bad = LACK_REPLIES - 1  # the last one is split and asked anew at once
        assert words[:bad] == [BAD_REPLY] * bad and set(words[bad:]) == {GOOD}


@pytest.mark.parametrize("word", COUNTED)
def test_every_fault_is_counted(outcome, word):
    for bus in FAULTS:
        if word_of(bus) == word:
            assert outcome.states[bus][1][word] >= 1, (bus, outcome.states[bus])


@pytest.mark.parametrize("name", RANGES)
def test_a_value_out_of_range_is_uncertain_and_kept(outcome, name):
    value, words = RANGES[name]
    readings = outcome.by_tag["ranges", name]
    assert {(one.value, one.quality, one.reason) for one in readings} == {(value, *words)}
