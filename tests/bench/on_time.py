"""How punctually healthy instruments are read while others are dead.

Three gateways at once, with no, 20 % and 50 % of the others dead, each with
  line-1      an RTU line at 19200 baud with 20 instruments, that share of which is silent    -> field.on_time.same_bus.*
  line-2      the same with 10 instruments, all well                                          \\ field.on_time.other_bus.*
  10 hosts    Modbus TCP endpoints of one instrument each; that share of them is silent       /
Every instrument has one request a second. It is on time when the simulator gets it no later than 10 % of the interval
after its moment. The moments are every interval from the instrument's own phase on, which is the earliest that was ever
seen of it; a request that never came is not on time. All are well at first; the
time in which it is found out that some are not (SETTLE_S) is not counted: what counts is the state that lasts. Of the two halves
of the time the better one counts: what else the machine does can only make requests late."""

import contextlib
import math
import pathlib
import tempfile
import time

from figures import figure
from gateway import Gateway
from plants import instrument_part, rtu_part, sequence_blocks, sequence_tags, tcp_part
from simulator import Simulator

SHARES = (0, 20, 50)
INTERVAL_S = 1.0
TOLERANCE = 0.1
WELL_S, SETTLE_S = 5, 25
REGISTERS = 10
LINE_UNITS, OTHER_UNITS, HOSTS = 20, 10, 10
BAUD = 19200
TIMEOUT = "500ms"  # the default
AIMS = {"same_bus": 98.0, "other_bus": 100.0}


def units(count):
    return [{"unit": unit, "blocks": sequence_blocks(REGISTERS)} for unit in range(1, count + 1)]


def describe(folder):
    lines = {"line-1": LINE_UNITS, "line-2": OTHER_UNITS}
    return {
        "rtu": [{"name": name, "link": str(folder / name), "baud": BAUD, "units": units(n)} for name, n in lines.items()],
        "tcp": [{"name": f"host-{i}", "units": units(1)} for i in range(HOSTS)],
    }


def places():
    """Every instrument as (bus, unit)."""
    lines = [("line-1", unit) for unit in range(1, LINE_UNITS + 1)] + [("line-2", unit) for unit in range(1, OTHER_UNITS + 1)]
    return lines + [(f"host-{i}", 1) for i in range(HOSTS)]


def dead(share):
    """The silent ones; evenly among the others."""
    every = [("line-1", 1 + i) for i in range(LINE_UNITS)], [(f"host-{i}", 1) for i in range(HOSTS)]
    return {place for among in every for i, place in enumerate(among) if (i + 1) * share // 100 > i * share // 100}


def configure(where):
    buses = [
        rtu_part(name, place, BAUD, TIMEOUT) if name.startswith("line") else tcp_part(name, place, TIMEOUT)
        for name, place in where.items()
    ]
    instruments = [
        instrument_part(f"{bus}-{unit}", bus, unit, sequence_tags(bus, unit, REGISTERS)) for bus, unit in places()
    ]
    return {"buses": buses, "instruments": instruments}


def on_time(times, since_s, until_s):
    """How many of the moments in that time had their request in time, and how many there were. times: of the requests."""
    times = [t for t in times if since_s <= t <= until_s]
    late_s = TOLERANCE * INTERVAL_S
    if not times:
        return 0, math.floor((until_s - since_s) / INTERVAL_S)
    turn = times[0] - INTERVAL_S / 2  # so that the phase lies in the middle of the circle
    phase = turn + min((t - turn) % INTERVAL_S for t in times)
    first, end = math.ceil((since_s - phase) / INTERVAL_S), math.floor((until_s - late_s - phase) / INTERVAL_S) + 1
    in_time = {math.floor((t - phase) / INTERVAL_S + 1e-6) for t in times if (t - phase + 1e-6) % INTERVAL_S <= late_s}
    return len(in_time & set(range(first, end))), end - first


def shares(record, silent, since_s, until_s):
    """Percent on time on the bus with the dead ones, and on the others."""
    counts = {"same_bus": [0, 0], "other_bus": [0, 0]}
    for place in places():
        if place in silent:
            continue
        times = [one["t"] for one in record if (one["bus"], one["unit"]) == place]
        for i, number in enumerate(on_time(times, since_s, until_s)):
            counts["same_bus" if place[0] == "line-1" else "other_bus"][i] += number
    return {name: 100 * good / wanted for name, (good, wanted) in counts.items()}


def measure(seconds):
    """{name: figure} of the six."""
    figures = {}
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forebay-bench-")))
        worlds = {}
        for share in SHARES:
            folder = scratch / f"dead{share}"
            folder.mkdir()
            sim = stack.enter_context(Simulator(folder / "sim", describe(folder)))
            gateway = stack.enter_context(Gateway(folder, configure(sim.where)))
            worlds[share] = sim, gateway.start()
        time.sleep(WELL_S)
        for share, (sim, _) in worlds.items():
            for bus, unit in dead(share):
                sim.say(f"fault {bus} {unit} silent")
        time.sleep(SETTLE_S)
        since_s = time.time()
        time.sleep(seconds)
        middle_s, until_s = since_s + seconds / 2, since_s + seconds
        for share, (sim, gateway) in worlds.items():
            gateway.stop()
            record = sim.record()
            halves = [shares(record, dead(share), *half) for half in ((since_s, middle_s), (middle_s, until_s))]
            for name in AIMS:
                percent = max(half[name] for half in halves)
                figures[f"field.on_time.{name}.dead{share}"] = figure(percent, "% on time", AIMS[name])
    return figures
