"""A serial line half of whose instruments are silent: the other half is read on time, and those that come back are
found."""

import time

import pytest
from common import wait_until
from gateway import Gateway
from plants import instrument_part, rtu_part, sequence_blocks, sequence_tags
from simulator import Simulator

BUS = "line-1"
HEALTHY, SILENT = range(1, 6), range(6, 11)
INTERVAL_MS, TIMEOUT_MS = 500, 300
DYING_S, DEAD_S = 8, 8  # until they are known to be dead; to look at the others meanwhile
BACK_LIMIT_S = 60


def configure(where):
    instruments = [
        instrument_part(f"unit-{unit}", BUS, unit, sequence_tags(BUS, unit, 4), f"{INTERVAL_MS}ms")
        for unit in (*HEALTHY, *SILENT)
    ]
    return {"buses": [rtu_part(BUS, where[BUS], timeout=f"{TIMEOUT_MS}ms")], "instruments": instruments}


def all_dead(sim):
    """Whether the others had two seconds of the line to themselves."""
    units = [one["unit"] for one in sim.record()]
    return not set(SILENT) & set(units[-2 * len(HEALTHY) * 1000 // INTERVAL_MS :])


def run(site):
    folder = site.folder("dead")
    units = [{"unit": unit, "blocks": sequence_blocks(4)} for unit in (*HEALTHY, *SILENT)]
    description = {"rtu": [{"name": BUS, "link": str(folder / "tty"), "units": units}]}
    with Simulator(folder / "sim", description) as sim, Gateway(folder, configure(sim.where)) as gateway:
        for unit in SILENT:
            sim.say(f"fault {BUS} {unit} silent")
        gateway.start()
        time.sleep(DYING_S)
        wait_until(lambda: all_dead(sim), 60, "the silent ones are known to be so", every_s=0.5)
        since_s, before = time.time(), gateway.status()["buses"][0]
        time.sleep(DEAD_S)
        until_s, asked = time.time(), len(sim.record())
        # The worker tells its figures every two seconds.
        told = gateway.wait_for_status(lambda now: now["buses"][0]["requests"] >= asked, 20, "the figures follow")
        status = told["buses"][0]
        for unit in SILENT:
            sim.say(f"clear {BUS} {unit}")
        gateway.wait_for_status(lambda now: now["buses"][0]["state"] == "good", BACK_LIMIT_S, "all are back")
        gateway.stop()
        record = [one for one in sim.record() if since_s <= one["t"] <= until_s]
        return record, status, status["overruns"] - before["overruns"]


pytestmark = pytest.mark.scenario(run, turn=3)


@pytest.mark.parametrize("unit", HEALTHY)
def test_the_healthy_are_read_on_time(outcome, unit):
    """There is one probe at most between two of their readings; what a busy machine skips is counted."""
    record, _, skipped = outcome
    times = [one["t"] for one in record if one["unit"] == unit]
    probes = [one["t"] for one in record if one["unit"] in SILENT]
    assert len(times) + skipped >= DEAD_S * 1000 / INTERVAL_MS - 3
    assert all(sum(a <= probe <= b for probe in probes) <= 1 for a, b in zip(times, times[1:])), (times, probes)


def test_a_probe_costs_one_time_out_at_most(outcome):
    """The least that one cost: what else the machine does only makes it longer."""
    record = outcome[0]
    costs = [b["t"] - a["t"] for a, b in zip(record, record[1:]) if a["unit"] in SILENT]
    assert 1000 * min(costs, default=0) < TIMEOUT_MS + INTERVAL_MS / 2, costs


def test_probes_of_the_dead_stay_within_their_share(outcome):
    record, status, _ = outcome
    assert status["state"] == "degraded"
    probes = [one for one in record if one["unit"] in SILENT]
    # 2 % of 8 s and what may have been saved up before are less than two time-outs of 300 ms.
    assert len(probes) <= 3
    assert status["load_percent"] < 30
