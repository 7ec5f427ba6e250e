"""How many requests a sweep over scattered registers takes, against the best that is possible.

1000 registers of one Modbus TCP server stand at random in 10000; what goes over the wire in one sweep is counted by the
simulator. The optimum is found here anew, with nothing of Forebay's: the cheapest way to cut the sorted registers into
reads, by dynamic programming. A read costs the bytes of its request and reply beside the data, and one more, so that of two
equally long ways that with fewer requests is taken; each register costs two bytes, wanted or not."""

import pathlib
import random
import tempfile
import time

from compare import Tag
from figures import figure
from gateway import Gateway
from plants import instrument_part, tcp_part
from simulator import Simulator, block

REGISTERS, AMONG = 1000, 10000
SEED = 1
OVERHEAD_BYTES = 12 + 9  # Messaging on TCP/IP V1.0b, section 3.1: header, unit, function, address and count; byte count
REQUEST_REGISTERS_MOST = 125  # Application protocol V1.1b3, section 6.3
SWEEPS = 5


def optimum(addresses):
    """(bytes, requests) of the cheapest sweep over these sorted addresses."""
    best = [(0, 0)]
    for end, last in enumerate(addresses):
        ways = []
        for start in range(end, -1, -1):
            length = last + 1 - addresses[start]
            if length > REQUEST_REGISTERS_MOST:
                break
            ways.append((best[start][0] + OVERHEAD_BYTES + 1 + 2 * length, best[start][1] + 1))
        best.append(min(ways))
    cost, requests = best[-1]
    return cost - requests, requests


def polled(addresses, folder):
    """(bytes, requests) of one of Forebay's sweeps, from what the simulator was asked for."""
    blocks = [block("holding", 0, "uint16", "seconds", count=AMONG)]
    tags = {f"r{address}": Tag("server", 1, "holding", address, "uint16") for address in addresses}
    description = {"tcp": [{"name": "server", "units": [{"unit": 1, "blocks": blocks}]}]}
    with Simulator(folder / "sim", description) as sim:
        instruments = [instrument_part("server", "server", 1, tags)]
        configuration = {"buses": [tcp_part("server", sim.where["server"])], "instruments": instruments}
        with Gateway(folder / "gateway", configuration) as gateway:
            gateway.start()
            time.sleep(SWEEPS)
            gateway.stop()
        counts = {}
        for one in sim.record():
            key = one["address"], one["count"]
            counts[key] = counts.get(key, 0) + 1
    assert max(counts.values()) - min(counts.values()) <= 1, "not every sweep is the same"
    return sum(OVERHEAD_BYTES + 2 * count for _, count in counts), len(counts)


def measure():
    """The two figures."""
    addresses = sorted(random.Random(SEED).sample(range(AMONG), REGISTERS))
    least_bytes, best = optimum(addresses)
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as scratch:
        total_bytes, requests = polled(addresses, pathlib.Path(scratch))
    parts = {
        "field.requests_per_sweep": (requests, "requests", best), "field.bytes_per_sweep": (total_bytes, "bytes", least_bytes)
    }  # fmt: skip
    return {name: figure(*part) for name, part in parts.items()}
