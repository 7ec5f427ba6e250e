"""A gateway without a clock: it starts in 1970, is set, is set wrongly by hours and years, and stepped by a second. Nothing
is lost, the order stays, and what was read before the clock was set gets its true time."""

import contextlib
import json
import time

import pytest
from common import wait_until
from consumer import Consumer
from gateway import cloud_part
from plants import SequencePlant
from simulator import Simulator
from wrong_clock import ClocklessGateway, WrongClock

TAGS = 10
HOUR_MS, YEAR_MS = 3_600_000, 8766 * 3_600_000
# How far the clock is ahead of the truth, one after the other: so there is a step to each of these and one back.
STEPS_MS = (HOUR_MS, 0, -HOUR_MS, 0, 10 * YEAR_MS, 0, -10 * YEAR_MS, 0, 1000, 0, -1000, 0)
UNSET_S, STEP_S = 5, 3
NEAR_MS = 1000  # far less than any of the steps of hours and years
JOINT_MS = 100  # between two clocks of which one is told by the other


def run(site):
    folder = site.folder("store_clock")
    plant = SequencePlant(TAGS)
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "clock", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(site.broker.port, "clock", site.pki)
        gateway = stack.enter_context(ClocklessGateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.clock = WrongClock(folder)
        gateway.start().wait_for_link()
        time.sleep(UNSET_S)
        gateway.kill("forebay-core")  # what it knew of its clock must not be lost with it
        time.sleep(UNSET_S)
        set_s = time.time()
        for ahead_ms in (0, *STEPS_MS):
            before = gateway.status()["store"]["readings"]
            gateway.clock.set(ahead_ms, True)
            asked = sim.requests()["hall-1"]
            time.sleep(STEP_S)
            gateway.wait_for_status(lambda now, least=before + 2 * TAGS: now["store"]["readings"] >= least, 20, "readings go on")
            wait_until(lambda least=asked + 2: sim.requests()["hall-1"] >= least, 20, "one came with this clock")
        last = max(served_ms(sim.record()))
        wait_until(lambda: counted(consumer.view())[-1].value >= last, 60, "the last readings arrive", every_s=0.2)
        lines = gateway.command("export", "-c", str(gateway.file), "--tags", "counters/r0", "--to", "2100-01-01")
        gateway.stop()
        record = sim.record()
    return consumer.view(), record, set_s, [json.loads(line) for line in lines.splitlines()], last


pytestmark = pytest.mark.scenario(run, turn=1)


def served_ms(record):
    """When the simulator answered with this count in its first register: {count: UTC in ms}."""
    return {
        int.from_bytes(entry["data"][:2], "big"): entry["t"] * 1000
        for entry in record
        if entry["data"] and entry["address"] == 0
    }


def is_true(time_ms, value, served):
    """Whether the reading of that count has the time of its reply, which comes before the next is asked for, however long
    that takes."""
    return served[value] - JOINT_MS <= time_ms <= served.get(value + 1, float("inf")) + JOINT_MS


def asked_before(served, set_s):
    """How many readings there are from before the clock was set."""
    return sum(at_ms < (set_s - 1) * 1000 for at_ms in served.values())


def counted(view):
    """The readings of the first register that have a value, in the order of their batches."""
    return [one for one in view.readings() if one.tag[1] == "r0" and one.quality != "bad"]


def test_nothing_is_lost_and_the_order_stays(outcome):
    view, record, *_, last = outcome
    (store,) = view.stores()
    counts = [one.value for one in counted(view)]
    assert counts == sorted(counts), "readings are out of order"
    assert len(set(counts)) == len(counts) and set(counts) == set(range(counts[0], counts[-1] + 1))
    assert counts[-1] >= last and last - counts[0] + 1 >= sum(count <= last for count in served_ms(record)) - 2
    assert not view.missing_numbers(store) and not view.losses()
    view.check_chain()


def test_each_step_shows_in_the_times(outcome):
    """In the order of arrival: so the steps were taken, and the order that is kept is not that of the times."""
    view, record, set_s, *_ = outcome
    served = served_ms(record)
    ahead = [one.time_ms - served[one.value] for one in counted(view) if served[one.value] > set_s * 1000]
    wanted = iter((0, *STEPS_MS))
    step = next(wanted)
    for one in ahead:
        if abs(one - step) < NEAR_MS / 2:
            step = next(wanted, None)
            if step is None:
                return
    raise AssertionError(f"nothing was read {step} ms ahead in its turn")


def test_readings_before_the_clock_was_set_say_so(outcome):
    view, record, set_s, *_ = outcome
    served = served_ms(record)
    early = [one for one in counted(view) if served[one.value] < (set_s - 1) * 1000]
    assert len(early) >= asked_before(served, set_s) - 2 > 0
    assert {one.reason for one in early} == {"clock not set"}
    assert max(one.time_ms for one in early) < 3_600_000, "it was 1970"


def test_corrections_give_them_their_true_times(outcome):
    view, record, *_ = outcome
    served = served_ms(record)
    corrections = [c for _, batch in view.batches.values() for c in batch.corrections]
    assert len(corrections) == 2, "for 1970 and for the ten years back"
    unset = [one for one in counted(view) if one.reason == "clock not set"]
    for one in unset:
        fits = [
            c for c in corrections if c.first_batch <= one.batch <= c.last_batch and c.from_ms <= one.time_ms <= c.to_ms
        ]
        # Read in the moment between a step and the look at its state: the time is right already, or years away.
        if not fits and is_true(one.time_ms, one.value, served):
            continue
        assert len(fits) == 1, one
        assert is_true(one.time_ms + fits[0].right_ms - fits[0].from_ms, one.value, served), one


def test_an_export_has_the_true_times(outcome):
    view, record, set_s, lines, last = outcome
    served = served_ms(record)
    kept = {line["value"]: line for line in lines if line["quality"] != "bad"}
    # What came behind the last of them may have been read after the export.
    assert max(kept) >= last and {one.value for one in counted(view) if one.value <= max(kept)} <= set(kept)
    early = [line for value, line in kept.items() if served[value] < (set_s - 1) * 1000]
    assert len(early) >= asked_before(served, set_s) - 2 > 0 and {line["reason"] for line in early} == {"clock not set"}
    for line in early:
        assert is_true(line["time_ms"], line["value"], served), line
