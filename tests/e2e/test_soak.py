"""200 Modbus TCP endpoints and two RTU lines, with faults all the time: what the programs hold stays the same.

In make check for a minute; `make soak MINUTES=10` longer. What is measured is the anonymous memory of each kind of program
(heap, stacks, data; not the rings of the recorded frames, which fill up once and are shared), every second once it has
settled: its slope in each half of the run, by the middle of all slopes between a sample and that a quarter of the run later,
and of the two the lesser: a single step, as what is needed for the first time makes it, is in one half, a leak in both."""

import contextlib
import json
import os
import random
import statistics
import time

import processes
import pytest
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import instrument_part, rtu_part, sequence_blocks, sequence_tags, tcp_part
from simulator import Simulator

ENDPOINTS, LINES, LINE_UNITS = 200, 2, 6
REGISTERS = 10
MINUTES = float(os.environ.get("MINUTES", "0.75"))
SETTLE_S = 5 if MINUTES < 5 else 60
TROUBLED = 0.25  # of the endpoints have faults; the others must never miss a reply
FAULTS = ("silent", "garbage", "close", "cut", "exception 2", "exception 6", "wrong-transaction", "nan", "duplicate", "late 600")
# What a kind of program may grow by in all, however long it runs. There are 202 workers, and a page is 4 KB: theirs is a page
# each, or 115 bytes a request in the short run and 9 in one of ten minutes.
GROWTH_MB = {"workers": 1.0, "field": 0.2, "core": 1.0, "cloud": 0.5, "run": 0.2}
WORKER_MB_MOST = 0.2  # private, each


def hosts():
    return [f"host-{i}" for i in range(ENDPOINTS)]


def lines():
    return [f"line-{i}" for i in range(LINES)]


def describe(folder):
    return {
        "tcp": [{"name": name, "units": [{"unit": 1, "blocks": sequence_blocks(REGISTERS)}]} for name in hosts()],
        "rtu": [{
            "name": name, "link": str(folder / name),
            "units": [{"unit": unit + 1, "blocks": sequence_blocks(REGISTERS)} for unit in range(LINE_UNITS)],
        } for name in lines()],
    }  # fmt: skip


def configure(where):
    places = [(name, 1) for name in hosts()] + [(name, unit + 1) for name in lines() for unit in range(LINE_UNITS)]
    return {
        "buses": [tcp_part(name, where[name]) for name in hosts()]
        + [rtu_part(name, where[name], timeout="1s") for name in lines()],
        "instruments": [
            instrument_part(f"{bus}-{unit}", bus, unit, sequence_tags(bus, unit, REGISTERS)) for bus, unit in places
        ],
    }


def pids_by_kind(gateway):
    """forebay-field's first process is the parent, the others are its workers."""
    found = gateway.pids()
    field = found["forebay-field"]
    return {
        "workers": field[1:], "field": field[:1], "core": found["forebay-core"], "cloud": found["forebay-cloud"],
        "run": [gateway.process.pid],
    }  # fmt: skip


def troubled():
    return hosts()[: int(ENDPOINTS * TROUBLED)]


def rehearse(sim):
    """Every fault once everywhere, so that what is used for the first time is not taken for a leak."""
    for fault in FAULTS:
        for name in troubled():
            sim.say(f"fault {name} 1 {fault} times 1")
        time.sleep(1.5)
    for name in troubled():
        sim.say(f"down {name}")
        sim.say(f"up {name}")


def trouble(sim, dice):
    """A few endpoints misbehave for some requests, one is away for a moment, one line has a bad one."""
    for name in dice.sample(troubled(), 5):
        sim.say(f"fault {name} 1 {dice.choice(FAULTS)} times 2")
    sim.say(f"fault line-0 1 {dice.choice(('silent', 'bad-crc', 'cut', 'noise'))} times 1")
    away = dice.choice(troubled())
    sim.say(f"down {away}")
    sim.say(f"up {away}")


def slope_a_s(samples):
    """samples: of one a second. The middle of the slopes between each sample and the one half of them later."""
    half = len(samples) // 2
    return statistics.median((samples[i + half] - samples[i]) / half for i in range(len(samples) - half))


class Outcome:
    def __init__(self, measured, buses, record):
        self.memory, self.worker_mb, self.cpu_percent, self.times = measured
        self.buses, self.record = buses, record

    def growth_mb(self, kind):
        samples = self.memory[kind]
        half = len(samples) // 2
        return min(slope_a_s(samples[:half]), slope_a_s(samples[half:])) * len(samples)

    def summary(self):
        since_s, until_s = self.times
        counts = {}
        for one in self.record:
            if since_s <= one["t"] < until_s:
                counts[one["bus"]] = counts.get(one["bus"], 0) + 1
        well = hosts()[int(ENDPOINTS * TROUBLED) :]
        return {
            "minutes": round((until_s - since_s) / 60, 2),
            "cpu_percent": {kind: round(share, 2) for kind, share in self.cpu_percent.items()},
            "private_mb_of_a_worker": round(self.worker_mb, 3),
            "anonymous_mb": {
                kind: [round(some[min(i * len(some) // 8, len(some) - 1)], 2) for i in range(9)]
                for kind, some in self.memory.items()
            },
            "growth_kb": {kind: round(1024 * self.growth_mb(kind), 1) for kind in self.memory},
            "requests_of_the_well_percent": round(
                100 * sum(counts.get(name, 0) for name in well) / len(well) / (until_s - since_s), 2
            ),
            "lateness_p99_ms_most": max(bus["lateness_ms"]["p99"] for bus in self.buses if bus["name"] in well),
        }


def watch(gateway, sim):
    """Troubles the instruments and takes samples until the time is over."""
    dice = random.Random(4)
    kinds = pids_by_kind(gateway)
    rehearse(sim)
    memory = {kind: [] for kind in kinds}
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        trouble(sim, dice)
        time.sleep(1)
    since_s, cpu = time.time(), {kind: processes.cpu_s(pids) for kind, pids in kinds.items()}
    end = time.monotonic() + 60 * MINUTES
    while time.monotonic() < end:
        trouble(sim, dice)
        for kind, pids in kinds.items():
            memory[kind].append(processes.memory_mb(pids, "Pss_Anon"))
        time.sleep(1)
    until_s = time.time()
    shares = {kind: 100 * (processes.cpu_s(pids) - cpu[kind]) / (until_s - since_s) for kind, pids in kinds.items()}
    assert pids_by_kind(gateway) == kinds, "a program has died"
    private = processes.memory_mb(kinds["workers"], "Private_Clean+Private_Dirty") / len(kinds["workers"])
    return memory, private, shares, (since_s, until_s)


def run(site):
    folder = site.folder("soak")
    with contextlib.ExitStack() as stack:
        stack.enter_context(Consumer(site.broker.port, "soak", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", describe(folder)))
        cloud = cloud_part(site.broker.port, "soak", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**configure(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        gateway.wait_for_buses()
        outcome = Outcome(watch(gateway, sim), gateway.status()["buses"], sim.record())
        gateway.stop()
    print(json.dumps(outcome.summary(), indent=2))
    return outcome


pytestmark = pytest.mark.scenario(run, turn=4)


@pytest.mark.parametrize("kind", GROWTH_MB)
def test_memory_does_not_grow(outcome, kind):
    assert outcome.growth_mb(kind) <= GROWTH_MB[kind], outcome.summary()


def test_a_worker_is_small(outcome):
    assert outcome.worker_mb <= WORKER_MB_MOST, outcome.summary()


def test_faults_of_some_reach_no_other(outcome):
    well = hosts()[int(ENDPOINTS * TROUBLED) :]
    for bus in outcome.buses:
        if bus["name"] in well:
            assert bus["state"] == "good" and not any(bus["errors"].values()), bus
