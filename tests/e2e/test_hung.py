"""Programs that hang instead of ending: stopped (SIGSTOP) they stay, with their sockets open, and say nothing. `forebay
run` ends and starts anew what hangs, and nothing that merely had no turn."""

import contextlib
import functools
import os
import re
import signal
import time

import pytest
from common import wait_until
from consumer import Consumer
from gateway import PROGRAMS, Gateway, cloud_part
from plants import SequencePlant, instrument_part, sequence_blocks, sequence_tags, tcp_part
from simulator import Simulator

HANGS_S = 30  # gateway/cli/alive.h
NOTICED_S = HANGS_S + 30
WORKER_NOTICED_S = 60 + 10 * 0.2 + 20  # drivers/workers.h, with the time-out of the buses below


@contextlib.contextmanager
def running(site, name):
    """A gateway whose link is up, its consumer, and the tags."""
    folder = site.folder(f"hung-{name}")
    plant = SequencePlant(3)
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, f"hung-{name}", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(site.broker.port, f"hung-{name}", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        yield gateway, consumer, plant.tags


def pids_of(gateway):
    """{program: pid}, of forebay-field the parent; only what runs."""
    return {name: pids[0] for name, pids in gateway.pids().items() if name in PROGRAMS}


def log_of(gateway):
    return (gateway.folder / "forebay.log").read_text(encoding="utf-8")


def killed_as_hung(gateway):
    found = re.findall(r"program-hangs program=(\S+) pid=(\d+);", log_of(gateway))
    return {name: int(pid) for name, pid in found}


def hang(gateway, names):
    """Stop them and wait for others in their place."""
    before = pids_of(gateway)
    try:
        for name in names:
            os.kill(before[name], signal.SIGSTOP)

        def replaced():
            now = pids_of(gateway)
            return len(now) == len(before) and all(now[name] != before[name] for name in names)

        wait_until(replaced, NOTICED_S, f"{names} run again")
    finally:
        go_on(before[name] for name in names)
    return before


def go_on(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def hang_all_programs(site):
    with running(site, "programs") as (gateway, consumer, tags):
        before = hang(gateway, PROGRAMS)
        assert killed_as_hung(gateway) == before
        wait_until(gateway.ready, 20, "the programs are connected again")
        gateway.wait_for_link()
        consumer.wait_for_readings(tags, time.time())
        events = [one["event"] for one in gateway.call("events", after=0, limit=100)["records"]]
        assert events.count("started") == 2
        gateway.stop()


def nobody_had_a_turn(who, site):
    """The supervisor alone, or all as when a machine sleeps, for longer than a program may be silent."""
    with running(site, who) as (gateway, _, _):
        before = pids_of(gateway)
        stopped = [gateway.process.pid]
        if who == "everything":
            stopped += [pid for pids in gateway.pids().values() for pid in pids]
        try:
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(HANGS_S + 5)
        finally:
            go_on(stopped)
        # One that hangs indeed shows that the supervisor has looked at all of them, for long enough.
        hang(gateway, ["forebay-cloud"])
        assert killed_as_hung(gateway) == {"forebay-cloud": before["forebay-cloud"]}
        now = pids_of(gateway)
        assert {name for name in PROGRAMS if now[name] != before[name]} == {"forebay-cloud"}
        gateway.wait_for_link()
        gateway.stop()


def two_buses(where):
    """One that is always asked, and one that is asked every two minutes."""
    tags = sequence_tags("bus", 1, 1)
    every = {"busy": "1s", "idle": "120s"}
    return {
        "buses": [tcp_part(name, where[name], timeout="200ms") for name in every],
        "instruments": [instrument_part(f"on-{name}", name, 1, tags, interval) for name, interval in every.items()],
    }


def workers_of(gateway):
    return gateway.pids()["forebay-field"][1:]


def hang_a_worker(site):
    folder = site.folder("hung-worker")
    description = {
        "tcp": [{"name": name, "units": [{"unit": 1, "blocks": sequence_blocks(1)}]} for name in ("busy", "idle")]
    }
    with Simulator(folder / "sim", description) as sim:
        whole = two_buses(sim.where)
        with Gateway(folder, {name: part[:1] for name, part in whole.items()}) as gateway:
            gateway.start().wait_for_buses()
            (busy,) = workers_of(gateway)
            gateway.configure(whole)
            gateway.reload()
            wait_until(lambda: "bus=idle state=good" in log_of(gateway), 20, "the idle bus was read, and waits")
            (idle,) = set(workers_of(gateway)) - {busy}
            os.kill(busy, signal.SIGSTOP)
            try:
                wait_until(lambda: busy not in workers_of(gateway), WORKER_NOTICED_S, "the worker that hangs is gone")
            finally:
                go_on([busy])
            wait_until(lambda: len(workers_of(gateway)) == 2, 20, "both buses have workers")
            assert idle in workers_of(gateway)
            gateway.wait_for_status(
                lambda status: {one["name"]: one["state"] for one in status["buses"]}["busy"] == "good", 20, "it is read"
            )
            stored = gateway.status()["store"]["readings"]
            gateway.wait_for_status(lambda status: status["store"]["readings"] > stored, 20, "readings go on")
            assert re.findall(r"worker-hangs bus=(\S+) pid=(\d+);", log_of(gateway)) == [("busy", str(busy))]
            events = [(one["event"], one.get("details", {})) for one in gateway.call("events", after=0)["records"]]
            assert ("bus-down", {"bus": "busy", "reason": "worker hung and was killed"}) in events, events
            gateway.stop()


@pytest.mark.scenario(hang_all_programs, turn=2)
def test_what_hangs_is_started_again(outcome):
    assert outcome is None


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(who, marks=pytest.mark.scenario(functools.partial(nobody_had_a_turn, who), turn=2))
        for who in ("supervisor", "everything")
    ],
)
def test_who_had_no_turn_does_not_hang(who, outcome):
    assert outcome is None


@pytest.mark.scenario(hang_a_worker, turn=2)
def test_a_worker_that_hangs_is_started_again_and_one_that_waits_is_not(outcome):
    assert outcome is None
