"""Text instruments that misbehave in every way: a bad reading with its reason, and never a wrong value. Each reply carries a
number that was never sent before; only those of honest replies may become readings, and each once."""

import contextlib
import time

import pytest
from common import wait_until
from consumer import Consumer
from gateway import Gateway, cloud_part
from simulator import lines

# Long enough that an honest reply is in time on a busy machine, too: those who reply are threads of this very process.
TIMEOUT_MS = 2400
INTERVAL_S = 0.5
REPLIES = 2  # spoilt in a row
GOOD_REPLIES = 6
# Until all of them have been spoilt: each may cost a time-out, as much rest, and the interval.
FAULTS_S = REPLIES * (2 * TIMEOUT_MS / 1000 + INTERVAL_S) + 1
SPOILT = 1000000  # added to the number of a reply that must not be believed

GOOD, TIMEOUT = ("good", "", 0), ("bad", "timeout", 0)
BAD_REPLY, NOT_A_NUMBER, GONE = ("bad", "bad reply", 0), ("bad", "not a number", 0), ("bad", "not connected", 0)


def whole(text):
    """Honest bytes in another dress: the number stays true."""
    return lambda n: [(0, text.format(n=n).encode("latin-1"))]


def spoilt(text):
    return lambda n: [(0, text.format(n=n + SPOILT).encode("latin-1"))]


def dripped(n):
    return [(0.005 * i, bytes((byte,))) for i, byte in enumerate(f"V {n} 12.5\r\n".encode())]


def late(n):
    """Half a time-out after the gateway has given up, and half a one before it asks again."""
    return [(1.5 * TIMEOUT_MS / 1000, f"V {n + SPOILT} 12.5\r\n".encode())]


# kind: (pieces of (delay in seconds, bytes; None ends the connection) for reply n, what the reading "first" may say).
FAULTS = {
    "silent": (lambda n: [], {TIMEOUT}),
    "late": (late, {TIMEOUT}),
    "cut": (spoilt("V {n}"), {BAD_REPLY, TIMEOUT}),
    "no-end": (spoilt("V {n} 12.5"), {BAD_REPLY, TIMEOUT}),
    "half-an-end": (spoilt("V {n} 12.5\r"), {BAD_REPLY, TIMEOUT}),
    "stub": (whole("V"), {BAD_REPLY, TIMEOUT}),
    "end-alone": (whole("\r\n"), {BAD_REPLY, TIMEOUT}),
    "zeros": (whole("\0\0\0\0\0\0\r\n"), {BAD_REPLY}),
    "garbage": (whole("\x8f\x11\xfe\x03V\x99\r\n"), {BAD_REPLY}),
    "zero-inside": (spoilt("V {n}\0 12.5\r\n"), {BAD_REPLY}),
    "not-ascii": (whole("V \xb1\xb2 12.5\r\n"), {BAD_REPLY, NOT_A_NUMBER}),
    "other-line": (whole("ERROR 7\r\n"), {BAD_REPLY}),
    "other-start": (spoilt("W {n} 12.5\r\n"), {BAD_REPLY}),
    "word": (whole("V off 12.5\r\n"), {BAD_REPLY, NOT_A_NUMBER}),
    "no-fields": (whole("V \r\n"), {BAD_REPLY}),
    "not-a-number": (whole("V nan 12.5\r\n"), {BAD_REPLY, NOT_A_NUMBER}),
    "infinite": (whole("V inf 12.5\r\n"), {BAD_REPLY, NOT_A_NUMBER}),
    "too-large": (whole("V 1e999 12.5\r\n"), {BAD_REPLY, NOT_A_NUMBER}),
    "hexadecimal": (spoilt("V 0x{n} 12.5\r\n"), {BAD_REPLY, NOT_A_NUMBER}),
    "comma": (spoilt("V {n},5 12.5\r\n"), {BAD_REPLY, NOT_A_NUMBER}),
    "two-signs": (spoilt("V +-{n} 12.5\r\n"), {BAD_REPLY, NOT_A_NUMBER}),
    "unit-behind": (whole("V {n}mg 12.5\r\n"), {GOOD}),
    "endless": (spoilt("V {n} 12.5 " * 60), {BAD_REPLY}),
    "noise-before": (spoilt("\x10#V {n} 12.5\r\n"), {BAD_REPLY}),
    "echo": (whole("READ 5\rV {n} 12.5\r\n"), {BAD_REPLY, GOOD}),
    "twice": (whole("V {n} 12.5\r\nV {n} 12.5\r\n"), {GOOD, BAD_REPLY}),
    "another-line-before": (whole("# ready\r\nV {n} 12.5\r\n"), {GOOD, BAD_REPLY}),
    "drip": (dripped, {GOOD}),
    "close": (lambda n: [(0, None)], {GONE}),
    "cut-and-close": (lambda n: [(0, b"V 1000001"), (0.02, None)], {GONE, BAD_REPLY}),
    "last": (lambda n: [(0, f"V {n} 12.5\r\n".encode()), (0.02, None)], {GOOD}),
}


def configure(plant):
    protocol = {"kind": "lines", "ask": "READ {unit}\\r", "end": "\\r\\n"}
    tags = [{"name": name, "line": "V ", "field": field} for field, name in enumerate(("first", "second"), 1)]
    common = {"unit": 5, "interval": f"{INTERVAL_S * 1000:.0f}ms", "protocol": protocol, "tags": tags}
    return {
        "buses": [
            {"name": kind, "kind": "serial-tcp", "host": "127.0.0.1", "port": one.port, "timeout": f"{TIMEOUT_MS}ms"}
            for kind, one in plant.instruments.items()
        ],
        "instruments": [{"name": kind, "bus": kind, **common} for kind in plant.instruments],
    }


class Outcome:
    def __init__(self, by_tag, honest, times):
        self.by_tag, self.honest = by_tag, honest
        self.good_s, self.fault_s, self.end_s = times

    def words_at_end(self, kind):
        """In the last moments, and with the first reading after them, of which there is one in any case."""
        times_s = [one.time_ms / 1000 for one in self.by_tag[kind, "first"]]
        return self.words(kind, self.end_s - 1.5, min(time_s for time_s in times_s if time_s > self.end_s))

    def words(self, kind, since_s, until_s):
        return {
            (one.quality, one.reason, one.detail)
            for one in self.by_tag[kind, "first"] if since_s <= one.time_ms / 1000 <= until_s
        }  # fmt: skip


def asked(plant, times):
    """A condition: whether every instrument has been asked so often since now."""
    before = {kind: one.count for kind, one in plant.instruments.items()}
    return lambda: all(one.count >= before[kind] + times for kind, one in plant.instruments.items())


def run(site):
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "lines", site.pki))
        plant = stack.enter_context(lines.Repliers({kind: fault for kind, (fault, _) in FAULTS.items()}))
        cloud = cloud_part(site.broker.port, "lines", site.pki)
        gateway = stack.enter_context(Gateway(site.folder("line_faults"), {**configure(plant), "cloud": cloud}))
        gateway.start().wait_for_link()
        gateway.wait_for_buses()
        good_s = time.time()
        wait_until(asked(plant, GOOD_REPLIES), 60, "all are asked for some seconds")
        fault_s = time.time()
        plant.spoil(REPLIES)
        time.sleep(FAULTS_S)
        wait_until(lambda: not any(one.left for one in plant.instruments.values()), 60, "all replies have been spoilt")
        gateway.wait_for_buses()
        wait_until(asked(plant, GOOD_REPLIES), 60, "all are asked for some seconds again")
        end_s = time.time()
        consumer.wait_for_readings([(kind, "first") for kind in FAULTS], end_s)
        gateway.stop()
        honest = {kind: one.honest for kind, one in plant.instruments.items()}
        return Outcome(consumer.view().by_tag(), honest, (good_s, fault_s, end_s))


pytestmark = pytest.mark.scenario(run, turn=3)


@pytest.mark.parametrize("kind", FAULTS)
def test_no_value_is_wrong_or_taken_twice(outcome, kind):
    values = [one.value for one in outcome.by_tag[kind, "first"] if one.quality != "bad"]
    assert len(values) > 10 and len(values) == len(set(values)), values
    assert set(values) <= outcome.honest[kind], set(values) - outcome.honest[kind]
    assert values == sorted(values)
    assert {one.value for one in outcome.by_tag[kind, "second"] if one.quality != "bad"} == {12.5}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_reading_says_what_was_wrong(outcome, kind):
    assert outcome.words(kind, outcome.good_s, outcome.fault_s - 0.1) == {GOOD}
    during = outcome.words(kind, outcome.fault_s, outcome.end_s)
    allowed = FAULTS[kind][1]
    assert during <= allowed | {GOOD} and during & allowed, during
    assert outcome.words_at_end(kind) == {GOOD}
