"""Instruments are added, changed, removed and added again while the gateway runs, and over a restart: only their own bus
notices, and a tag's number is its own for good."""

import contextlib
import time

import pytest
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import instrument_part, named, rtu_part, sequence_blocks, sequence_tags, tcp_part
from simulator import Simulator

CHANGING, QUIET, LINE, NEW = "changing", "quiet", "line", "new"
INTERVAL_S = 0.5
REGISTERS = 3
APART_S = 1.2  # between two changes: a few readings
STATUS_AGE_S = 2.5  # workers tell theirs every two seconds


def describe(folder):
    units = [{"unit": unit, "blocks": sequence_blocks(REGISTERS + 1)} for unit in (1, 2, 3)]
    return {
        "tcp": [{"name": name, "units": units} for name in (CHANGING, QUIET, NEW)],
        "rtu": [{"name": LINE, "link": str(folder / "tty"), "units": units}],
    }


def instrument(name, bus, unit, registers=REGISTERS, **more):
    tags = sequence_tags(bus, unit, registers)
    return instrument_part(name, bus, unit, tags, f"{INTERVAL_S * 1000:.0f}ms", **more)


def changes():
    """(what is done, the instruments on the changing buses from then on), in turn."""
    first = instrument("first", CHANGING, 1)
    second = instrument("second", CHANGING, 2)
    return [
        ("an instrument is added", [first, second]),
        ("a tag is added", [first, instrument("second", CHANGING, 2, REGISTERS + 1)]),
        ("a tag is removed", [first, instrument("second", CHANGING, 2, REGISTERS - 1)]),
        ("an interval is changed", [first, {**second, "interval": "700ms"}]),
        ("an instrument is removed", [first]),
        ("another one takes its unit", [first, instrument("third", CHANGING, 2)]),
        ("the removed one comes back at another unit", [first, instrument("second", CHANGING, 3)]),
        ("a bus is added", [first, second, instrument("fourth", NEW, 1)]),
        ("all of them are removed", []),
        ("all of them come back", [first, second, instrument("fourth", NEW, 1)]),
    ]


def configure(where, changing):
    """Buses without instruments are allowed, but the new one is only there with its own."""
    buses = [tcp_part(QUIET, where[QUIET]), rtu_part(LINE, where[LINE])]
    used = dict.fromkeys(one["bus"] for one in changing)
    buses += [tcp_part(name, where[name]) for name in used]
    steady = [instrument("still", QUIET, 1), instrument("wired", LINE, 1), instrument("wired-2", LINE, 2)]
    return {"buses": buses, "instruments": [*changing, *steady]}


STEADY_TAGS = {
    **named("still", sequence_tags(QUIET, 1, REGISTERS)),
    **named("wired", sequence_tags(LINE, 1, REGISTERS)),
    **named("wired-2", sequence_tags(LINE, 2, REGISTERS)),
}


class Outcome:
    """before: status before the changes; after: behind them, before the restart; times: of the changes (UTC seconds)."""

    def __init__(self, record, view, before, after, pids, times):
        self.record, self.view, self.before, self.after, self.pids, self.times = record, view, before, after, pids, times


def all_told(now, before):
    """Whether there are newer figures of the steady buses than before."""
    told, known = ({one["name"]: one["requests"] for one in status["buses"]} for status in (now, before))
    return all(told[bus] > known[bus] for bus in (QUIET, LINE))


def run(site):
    folder = site.folder("hot_change")
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "hot", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", describe(folder)))
        cloud = {"cloud": cloud_part(site.broker.port, "hot", site.pki)}
        steps = changes()
        gateway = stack.enter_context(Gateway(folder, {**configure(sim.where, steps[4][1]), **cloud}))
        gateway.start().wait_for_link()
        gateway.wait_for_buses()
        time.sleep(STATUS_AGE_S)
        before, pids = gateway.status(), gateway.pids()["forebay-field"]
        since_s = time.time()
        for _, instruments in steps:
            gateway.configure({**configure(sim.where, instruments), **cloud})
            gateway.reload()
            time.sleep(APART_S)
        until_s = time.time()
        time.sleep(STATUS_AGE_S)
        # A reload forgets what was told before it.
        after = gateway.wait_for_status(lambda now: all_told(now, before), 20, "the workers tell their figures")
        left = gateway.pids()["forebay-field"]
        gateway.stop()
        gateway.configure({**configure(sim.where, steps[5][1]), **cloud})
        gateway.start().wait_for_link()
        gateway.configure({**configure(sim.where, steps[-1][1]), **cloud})
        gateway.reload()
        again_s = time.time() + 1
        consumer.wait_for_readings([*STEADY_TAGS, ("fourth", "r0"), ("third", "r0"), ("second", "r3")], 1)
        consumer.wait_for_readings([*STEADY_TAGS, ("fourth", "r0")], again_s)
        gateway.stop()
        return Outcome(sim.record(), consumer.view(), before, after, (pids, left), (since_s, until_s))


pytestmark = pytest.mark.scenario(run, turn=2)


def test_other_buses_keep_their_process(outcome):
    pids, left = outcome.pids
    assert left[0] == pids[0] and len(set(pids) & set(left)) == 3, "the parent and the workers of two buses"


def test_other_buses_miss_no_reading(outcome):
    found = compare(outcome.record, outcome.view.by_tag(), STEADY_TAGS, *outcome.times)
    found.assert_equal(at_least=len(STEADY_TAGS) * len(changes()))


@pytest.mark.parametrize("bus, instruments", [(QUIET, 1), (LINE, 2)])
def test_other_buses_skip_no_slot(outcome, bus, instruments):
    """Each slot of the one schedule was served, or skipped and counted because this machine had no time for it: a schedule
    that begins anew loses part of a slot with each change, and one that waits for the changes skips as many as there are."""
    before, after = ({one["name"]: one for one in status["buses"]}[bus] for status in (outcome.before, outcome.after))
    times = [one["t"] for one in outcome.record if one["bus"] == bus]
    slots = instruments * (times[after["requests"] - 1] - times[before["requests"] - 1]) / INTERVAL_S
    served, skipped = (after[figure] - before[figure] for figure in ("requests", "overruns"))
    print(f"{slots:.1f} slots: {served} served, {skipped} skipped")
    assert abs(served + skipped - slots) <= instruments
    assert skipped < instruments * len(changes())
    assert after["errors"] == before["errors"]


def test_a_tag_has_one_number_and_a_number_one_tag(outcome):
    """In every catalogue that was ever sent, through all changes and a restart."""
    assert len(outcome.view.catalogues) >= len(changes()) - 2, "several times the same tags come back"
    pairs = {(tag.number, (tag.instrument, tag.name)) for one in outcome.view.catalogues.values() for tag in one.tags}
    assert len({number for number, _ in pairs}) == len({name for _, name in pairs}) == len(pairs), sorted(pairs)
    assert {instrument for _, (instrument, _) in pairs} >= {"first", "second", "third", "fourth", "still", "wired"}


def test_there_is_one_store_and_no_number_is_missing(outcome):
    (store,) = outcome.view.stores()
    assert not outcome.view.missing_numbers(store) and not outcome.view.lost_readings()
    outcome.view.check_chain()
