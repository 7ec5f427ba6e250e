"""What the link costs and how fast it is, against a real RabbitMQ 4 and `forebay receive`, all through TLS. Called by bench.py.

link.drain.*                      how fast a backlog leaves, see drains.py
link.wire_bytes.live, .backlog    on the wire both ways, TLS and AMQP included, of noisy data: bytes a reading, live in batches of 10 s
                                  and in the backlog; against: JSON lines through zstd, of the same readings in the same batches
link.change_ms.*                  from a register's change to the cloud, see change_latency.py
link.latency_ms.p50, .p99         of live batches sealed every second: from the oldest reading of each to its acceptance, as the status
                                  tells it
link.latency_ms.*.backfill        the same while the backlog of a 72-hour outage goes; against: the normal one. Absent where the backlog
                                  was gone before a live batch was due
link.latency_ms.*.slow            both through a path of 1 MB/s, on which that backlog takes minutes
link.cpu_share, link.pss_mb       of forebay-cloud at 1000 live readings a second; against: all Forebay programs
"""

import contextlib
import json
import shutil
import time

import change_latency
import zstandard
from broker import Broker
from common import make_certificates
from drains import (
    DAY_S, WIRE, fill, figures_of_drain, measure_brokered, measure_over_gigabit, measure_received, no_plant, scratch, stock_of, wire,
)  # fmt: skip
from figures import figure
from gateway import Gateway, cloud_part
from plants import instrument_part, sequence_tags
from processes import cpu_s, memory_mb
from proxy import Proxy
from simulator import Simulator, block

OUTAGE_S = 72 * 3600
REGISTERS = 1000
LIVE_S = 40
LATENCY_S = 60
SLOW_BYTES_PER_S = 1000 * 1000
FORWARD_MS = 1000  # how long the oldest reading of a batch waits for its sealing


def live_plant(stack, folder):
    """REGISTERS registers as noisy as the noisy data set: +-17 steps, sigma 10."""
    blocks = [block("holding", 0, "uint16", "sine", count=REGISTERS, base=2000, swing=900, noise=17, period=3600)]
    simulator = stack.enter_context(Simulator(folder / "sim", {"tcp": [{"name": "hall", "units": [{"unit": 1, "blocks": blocks}]}]}))
    bus = {"name": "hall", "kind": "modbus-tcp", "host": "127.0.0.1", "port": simulator.where["hall"]}
    return {"buses": [bus], "instruments": [instrument_part("live", "hall", 1, sequence_tags("hall", 1, REGISTERS))]}


def json_zstd_bytes(folder, seconds):
    """A reading as JSON lines through zstd, of the noisy data in batches of so many seconds."""
    folder.mkdir()
    fill(folder, 2 * seconds, batch_s=seconds)
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway(folder, no_plant()))
        gateway.start()
        lines = gateway.command("export", "-c", gateway.file, "--tags", "bench").splitlines(keepends=True)[: 1000 * seconds]
        gateway.stop()
    return len(zstandard.ZstdCompressor(3).compress("".join(lines).encode())) / len(lines)


def measure_live(stack, folder, broker, pki, plant):
    """Bytes on the wire a reading, and the programs' share of a core and memory, in batches of 10 s."""
    folder.mkdir()
    gateway = stack.enter_context(Gateway(folder, {
        "store": {"commit_interval": "1s", "forward_interval": "10s"}, **plant, "cloud": cloud_part(broker.port, "live", pki)
    }))  # fmt: skip
    gateway.start().wait_for_link()
    before = next_accepted(gateway)
    pids = gateway.pids()
    cloud, every = pids["forebay-cloud"], [pid for name, these in pids.items() if name.startswith("forebay-") for pid in these]
    begun, cpu = time.monotonic(), [cpu_s(cloud), cpu_s(every)]
    time.sleep(LIVE_S)
    after = next_accepted(gateway)
    passed = time.monotonic() - begun
    cpu = [100 * (cpu_s(cloud) - cpu[0]) / passed, 100 * (cpu_s(every) - cpu[1]) / passed]
    memory = [memory_mb(cloud), memory_mb(every)]
    gateway.stop()
    sent = after["store"]["readings"] - after["store"]["unsent_readings"] - before["store"]["readings"] + before["store"]["unsent_readings"]
    return (wire(after) - wire(before)) / sent, cpu, memory


def next_accepted(gateway):
    """The status just after a batch was accepted."""
    accepted = gateway.status()["link"]["accepted"]
    return gateway.wait_for_status(lambda s: s["link"]["accepted"] > accepted, 30, "one more batch")


def measure_latency(stack, folder, port, queue, pki, plant, stock):
    """(p50, p99) of live batches normally, and while the stock's backlog goes: as long as that takes, LATENCY_S at most;
    None when there was no live batch meanwhile."""
    folder.mkdir()
    shutil.copytree(stock["folder"] / "data", folder / "data")
    store = {"commit_interval": "1s", "forward_interval": "1s"}
    rest = {"store": store, **plant, "cloud": cloud_part(port, queue, pki)}
    gateway = stack.enter_context(Gateway(folder, rest))
    begun_s = time.monotonic()
    gateway.start().wait_for_link()
    live = None
    while live is None or (live["store"]["unsent_batches"] > 3 and time.monotonic() < begun_s + LATENCY_S):
        live = gateway.status()
        time.sleep(0.1)
    gateway.stop()
    backfill = live["link"]["live"]
    gateway = stack.enter_context(Gateway(folder.with_name(f"{folder.name}-normal"), rest))
    gateway.start().wait_for_link()
    time.sleep(LATENCY_S / 2)
    normal = gateway.status()["link"]["live"]
    gateway.stop()
    print(f"{folder.name}: {normal['batches']} live batches normally, {backfill['batches']} during the backfill", flush=True)
    return [(one["p50_ms"], one["p99_ms"]) if one["batches"] > 0 else None for one in (normal, backfill)]


def measure():
    figures = {}
    with contextlib.ExitStack() as stack:
        base, memory = (stack.enter_context(scratch(folder)) for folder in ("/var/tmp", "/dev/shm"))
        pki = make_certificates(base / "pki")
        broker = stack.enter_context(Broker(base / "broker", pki, ("drain", "live", "change", "fast", "slow")))
        day = stock_of(memory, DAY_S)
        received = measure_received(base, pki, day)
        brokered = measure_brokered(base, pki, day, broker)
        figures.update(figures_of_drain("rabbitmq", brokered) | figures_of_drain("receive", received))
        figures.update(measure_over_gigabit(base, pki, day))
        figures["link.wire_bytes.backlog"] = figure(brokered[WIRE][0], "bytes/reading", json_zstd_bytes(base / "json-32", 32))
        plant = live_plant(stack, base / "plant")
        each, cpu, pss = measure_live(stack, base / "live", broker, pki, plant)
        figures["link.wire_bytes.live"] = figure(each, "bytes/reading", json_zstd_bytes(base / "json-10", 10))
        figures["link.cpu_share"] = figure(cpu[0], "% of one core", cpu[1])
        figures["link.pss_mb"] = figure(pss[0], "MB", pss[1])
        figures.update(change_latency.measure(base, broker, "change", pki))
        outage = stock_of(memory, OUTAGE_S)
        proxy = stack.enter_context(Proxy(broker.port, SLOW_BYTES_PER_S))
        paths = {"": (broker.port, "fast"), ".slow": (proxy.port, "slow")}
        for suffix, (at, queue) in paths.items():
            normal, backfill = measure_latency(stack, base / f"latency-{queue}", at, queue, pki, plant, outage)
            for i, part in enumerate(("p50", "p99")):
                figures[f"link.latency_ms.{part}{suffix}"] = figure(normal[i], "ms", FORWARD_MS)
                if backfill is not None:
                    figures[f"link.latency_ms.{part}.backfill{suffix}"] = figure(backfill[i], "ms", normal[i])
    return figures


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
