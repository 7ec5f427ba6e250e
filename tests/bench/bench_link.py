"""What the link costs and how fast it is, against a real RabbitMQ 4 and `forebay receive`, all through TLS. Called by bench.py.

link.drain.rabbitmq, .receive     a backlog of a day of 1000 readings a second: readings/s; against: bare_sender, which hands messages
                                  of the same number and size to the same peer, from memory. Medians of some drains, in turns
link.drain.*.stored               the same; against: bare_sender, when it reads its batches from the same encrypted store first
link.drain_bytes.*                the same as the first in bytes/s on the wire
link.drain.*.cpu_s.*              processor seconds that such a drain takes forebay-core, forebay-cloud and the peer; against: those that
                                  bare_sender takes, and the peer with it
link.drain.*.bound                the rate if all this machine's processors did nothing but that, and nobody ever waited, readings/s;
                                  against: bare_sender's rate as in the first. More than this ratio is not to be had of the first
link.wire_bytes.live, .backlog    on the wire both ways, TLS and AMQP included, of noisy data: bytes a reading, live in batches of 10 s
                                  and in the backlog; against: JSON lines through zstd, of the same readings in the same batches
link.latency_ms.p50, .p99         of live batches sealed every second: from the oldest reading of each to its acceptance, as the status
                                  tells it; a register's change waits for the next poll before that, a second at most
link.latency_ms.*.backfill        the same while the backlog of a 72-hour outage goes; against: the normal one. Absent where the backlog
                                  was gone before a live batch was due
link.latency_ms.*.slow            both through a path of 1 MB/s, on which that backlog takes minutes
link.cpu_share, link.pss_mb       of forebay-cloud at 1000 live readings a second; against: all Forebay programs
"""

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import zstandard
from broker import Broker
from common import free_port, make_certificates, program, wait_until
from figures import figure
from gateway import Gateway, cloud_part
from plants import instrument_part, sequence_tags
from processes import below, cpu_s, memory_mb
from proxy import Proxy
from simulator import Simulator, block

DAY_S = 86400
OUTAGE_S = 72 * 3600
REGISTERS = 1000
DRAINS = 5
DRAINS_TO_RECEIVE = 3  # which takes ten times as long
WIRE = "bytes on the wire a reading"
AFTERMATH_S = 0.5  # what a peer still does after its last answer
LIVE_S = 40
LATENCY_S = 60
SLOW_BYTES_PER_S = 1000 * 1000
FORWARD_MS = 1000  # how long the oldest reading of a batch waits for its sealing


def fill(folder, seconds, batch_s=180):
    words = [program("tests/fill_store"), folder / "data", folder.name, str(seconds), str(batch_s), "noisy"]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)


def live_plant(stack, folder):
    """REGISTERS registers as noisy as the noisy data set: +-17 steps, sigma 10."""
    blocks = [block("holding", 0, "uint16", "sine", count=REGISTERS, base=2000, swing=900, noise=17, period=3600)]
    simulator = stack.enter_context(Simulator(folder / "sim", {"tcp": [{"name": "hall", "units": [{"unit": 1, "blocks": blocks}]}]}))
    bus = {"name": "hall", "kind": "modbus-tcp", "host": "127.0.0.1", "port": simulator.where["hall"]}
    return {"buses": [bus], "instruments": [instrument_part("live", "hall", 1, sequence_tags("hall", 1, REGISTERS))]}


def no_plant():
    bus = {"name": "hall", "kind": "modbus-tcp", "host": "127.0.0.1", "port": free_port()}
    return {"buses": [bus], "instruments": [instrument_part("live", "hall", 1, sequence_tags("hall", 1, 1))]}


def wire(status):
    return status["link"]["bytes_in"] + status["link"]["bytes_out"]


def drain(gateway, cloud, stock, peer_pids):
    """Let a gateway that runs, and had nowhere to send to, have its backlog forwarded: seconds from the link's coming up to the last
    acceptance, as the status tells them, bytes on the wire, the processor seconds of core, cloud and peer, and the peer's threads."""
    gateway.configure({**no_plant(), "cloud": cloud})
    pids = {name: gateway.pids()[f"forebay-{name}"] for name in ("core", "cloud")} | {"peer": peer_pids}
    before = {name: cpu_s(some) for name, some in pids.items()}
    gateway.reload()
    # Seldom: asking takes its share of the processors.
    end = wait_until(lambda: all_accepted(gateway, stock), 600, "the backlog is gone", every_s=1)
    return {
        "s": (end["link"]["last_accepted_ms"] - end["link"]["since_ms"]) / 1000,
        "bytes": wire(end),
        "peer_threads": sum(len(os.listdir(f"/proc/{pid}/task")) for pid in peer_pids),
        **{f"cpu_s.{name}": cpu_s(some) - before[name] for name, some in pids.items()},
    }


def all_accepted(gateway, stock):
    status = gateway.status()
    return status if status["link"]["accepted"] >= stock["batches"] else None


def bare(port, address, pki, batches, peer_pids):
    """What bare_sender takes: seconds to read the batches and to send them, and processor seconds of its own and of the peer."""
    words = [program("tests/bare_sender"), "localhost", str(port), address, pki / "ca.pem", pki / "gateway.pem", pki / "gateway.key", batches]
    before = cpu_s(peer_pids)
    said = subprocess.run(words, check=True, stdout=subprocess.PIPE, timeout=600).stdout
    reading_s, sending_s, sending_cpu_s = map(float, said.split())
    return {"reading_s": reading_s, "s": sending_s, "cpu_s.sender": sending_cpu_s, "cpu_s.peer": settled_cpu_s(peer_pids) - before}


def settled_cpu_s(pids):
    """When what came last has been worked off."""
    time.sleep(AFTERMATH_S)
    return cpu_s(pids)


@contextlib.contextmanager
def receiving(folder, pki, port):
    """`forebay receive`, its lines thrown away by whoever reads them; its process ids."""
    words = [program("forebay"), "receive", "--listen", f"127.0.0.1:{port}", "--ca", pki / "ca.pem", "--certificate",
             pki / "server.pem", "--key", pki / "server.key", "--state", folder]  # fmt: skip
    with open("/dev/null", "wb") as nowhere, open(f"{folder}.log", "wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=nowhere, stderr=log)
        try:
            wait_until(lambda: b"listening" in pathlib.Path(f"{folder}.log").read_bytes(), 20, "the receiver listens")
            yield [process.pid]
        finally:
            process.terminate()
            process.wait(20)


def drain_once(folder, port, address, pki, stock, peer):
    """One turn: the batches by bare_sender, and a copy of their store by a gateway. peer(name): the peer's process ids, as a context."""
    shutil.copytree(stock["folder"] / "data", folder / "data", ignore=shutil.ignore_patterns("batches.bin"))
    os.sync()  # or the first fsync would wait for the copy
    with peer("bare") as pids:
        plain = bare(port, address, pki, stock["folder"] / "data" / "batches.bin", pids)
    with peer("stored") as pids:
        stored = bare(port, address, pki, folder / "data", pids)
    cloud = {**cloud_part(port, "x", pki), "address": address}
    with Gateway(folder, {**no_plant(), "cloud": {**cloud, "port": free_port()}}) as gateway, peer("ours") as pids:
        gateway.start()
        ours = drain(gateway, cloud, stock, pids)
        gateway.stop()
    shutil.rmtree(folder)
    return figures_of_turn(stock["readings"], ours, plain, stored)


def figures_of_turn(readings, ours, plain, stored):
    """{name: (value, what it is against)}."""
    core_s, cloud_s, peer_s = (ours[f"cpu_s.{name}"] for name in ("core", "cloud", "peer"))
    # Core and cloud have one thread each.
    busy_s = max(core_s, cloud_s, peer_s / ours["peer_threads"], (core_s + cloud_s + peer_s) / os.cpu_count())
    return {
        "link.drain.{}": (readings / ours["s"], readings / plain["s"]),
        "link.drain.{}.stored": (readings / ours["s"], readings / (stored["reading_s"] + stored["s"])),
        "link.drain_bytes.{}": (ours["bytes"] / ours["s"], ours["bytes"] / plain["s"]),
        "link.drain.{}.cpu_s.core": (core_s, plain["cpu_s.sender"]),
        "link.drain.{}.cpu_s.cloud": (cloud_s, plain["cpu_s.sender"]),
        "link.drain.{}.cpu_s.peer": (peer_s, plain["cpu_s.peer"]),
        "link.drain.{}.bound": (readings / busy_s, readings / plain["s"]),
        WIRE: (ours["bytes"] / readings, 0),
    }


def measure_drain(turns_wanted, folder, port, address, pki, stock, peer):
    """Medians of so many turns."""
    turns = []
    for turn in range(turns_wanted):
        turns.append(drain_once(folder, port, address, pki, stock, lambda name, turn=turn: peer(f"{name}-{turn}")))
        said = ", ".join(f"{name.format('*')} {value:.3g} ({against:.3g})" for name, (value, against) in turns[-1].items())
        print(f"{folder.name}: {said}", flush=True)
    return {name: [statistics.median(turn[name][i] for turn in turns) for i in (0, 1)] for name in turns[0]}


DRAIN_FIGURES = {
    "link.drain.{}": "readings/s",
    "link.drain.{}.stored": "readings/s",
    "link.drain.{}.bound": "readings/s",
    "link.drain.{}.cpu_s.core": "s",
    "link.drain.{}.cpu_s.cloud": "s",
    "link.drain.{}.cpu_s.peer": "s",
    "link.drain_bytes.{}": "bytes/s",
}


def figures_of_drain(peer, medians):
    return {name.format(peer): figure(medians[name][0], unit, medians[name][1]) for name, unit in DRAIN_FIGURES.items()}


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


def stock_of(base, seconds):
    """Made in memory, where nothing waits for a disk, and copied to one for each use."""
    folder = base / f"stock-{seconds}"
    folder.mkdir()
    return {**fill(folder, seconds), "folder": folder}


def measure():
    figures = {}
    with contextlib.ExitStack() as stack:
        base = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forebay-link-", dir="/var/tmp")))
        memory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forebay-link-", dir="/dev/shm")))
        pki = make_certificates(base / "pki")
        broker = stack.enter_context(Broker(base / "broker", pki, ("drain", "live", "fast", "slow")))
        day = stock_of(memory, DAY_S)
        port = free_port()
        broker_pids = below(broker.process.pid)
        received = measure_drain(DRAINS_TO_RECEIVE, base / "to-receive", port, "any", pki, day,
                                 lambda name: receiving(base / f"received-{name}", pki, port))  # fmt: skip
        brokered = measure_drain(DRAINS, base / "to-rabbitmq", broker.port, "/queues/drain", pki, day,
                                 lambda _: contextlib.nullcontext(broker_pids))  # fmt: skip
        figures.update(figures_of_drain("rabbitmq", brokered) | figures_of_drain("receive", received))
        figures["link.wire_bytes.backlog"] = figure(brokered[WIRE][0], "bytes/reading", json_zstd_bytes(base / "json-32", 32))
        plant = live_plant(stack, base / "plant")
        each, cpu, pss = measure_live(stack, base / "live", broker, pki, plant)
        figures["link.wire_bytes.live"] = figure(each, "bytes/reading", json_zstd_bytes(base / "json-10", 10))
        figures["link.cpu_share"] = figure(cpu[0], "% of one core", cpu[1])
        figures["link.pss_mb"] = figure(pss[0], "MB", pss[1])
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
