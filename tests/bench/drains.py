"""How fast a backlog of a day of 1000 readings a second leaves, all through TLS. Medians of some drains, in turns.

link.drain.rabbitmq, .receive     readings/s into RabbitMQ 4 and into `forebay receive` on the same machine, over a loopback as fast as
                                  it can; against: bare_sender, which hands messages of the same number and size to the same peer,
                                  from memory
link.drain.rabbitmq.gigabit       readings/s over a line of a gigabit a second (tc-tbf(8) in a network namespace): as fast as a gateway's
                                  port can be; against: bare_sender over the same line
link.drain.*.stored               as the first; against: bare_sender, when it reads its batches from the same encrypted store first
link.drain_bytes.*                the same as the first in bytes/s on the wire
link.drain.*.cpu_s.*              processor seconds that such a drain takes forebay-core, forebay-cloud and the peer; against: those that
                                  bare_sender takes, and the peer with it
link.drain.*.bound                the rate if all this machine's processors did nothing but that, and nobody ever waited, readings/s;
                                  against: bare_sender's rate as in the first. More than this ratio is not to be had of the first

Usage by itself, in a network namespace of its own: drains.py FILE. Makes its loopback the gigabit line and measures what FILE says;
the medians take its place."""

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from broker import Broker, namespace
from common import free_port, program, wait_until
from figures import figure
from gateway import Gateway, cloud_part
from plants import instrument_part, sequence_tags
from processes import below, cpu_s

DAY_S = 86400
DRAINS = 5
DRAINS_TO_RECEIVE = 3  # which takes ten times as long
WIRE = "bytes on the wire a reading"
AFTERMATH_S = 0.5  # what a peer still does after its last answer
GIGABIT = ("rate", "1gbit", "burst", "256kb", "latency", "50ms")  # both ways together
NO_LINE = 3  # exit status: the kernel has no such line


@contextlib.contextmanager
def scratch(folder):
    with tempfile.TemporaryDirectory(prefix="forebay-link-", dir=folder) as path:
        yield pathlib.Path(path)


def fill(folder, seconds, batch_s=180):
    words = [program("tests/fill_store"), folder / "data", folder.name, str(seconds), str(batch_s), "noisy"]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)


def stock_of(base, seconds):
    """Made in memory, where nothing waits for a disk, and copied to one for each use."""
    folder = base / f"stock-{seconds}"
    folder.mkdir()
    return {**fill(folder, seconds), "folder": folder}


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


def measure_received(base, pki, day):
    """Into `forebay receive`."""
    port = free_port()
    return measure_drain(DRAINS_TO_RECEIVE, base / "to-receive", port, "any", pki, day,
                         lambda name: receiving(base / f"received-{name}", pki, port))  # fmt: skip


def measure_brokered(base, pki, day, broker):
    pids = below(broker.process.pid)
    return measure_drain(DRAINS, base / "to-rabbitmq", broker.port, "/queues/drain", pki, day,
                         lambda _: contextlib.nullcontext(pids))  # fmt: skip


def measure_over_gigabit(base, pki, day):
    """Figures of drains over a line of a gigabit a second; none where the kernel has no such line."""
    task = base / "gigabit.json"
    task.write_text(json.dumps({"pki": str(pki), "day": {**day, "folder": str(day["folder"])}}))
    words = [*namespace("--net"), sys.executable, __file__, task]
    code = subprocess.run(words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, timeout=600).returncode
    if code == NO_LINE:
        print("no figures over a gigabit line: this kernel has no tc-tbf(8)", flush=True)
        return {}
    assert code == 0, f"drains over a gigabit line ended with {code}"
    medians = json.loads(task.read_text())
    return {f"{name}.rabbitmq.gigabit": figure(medians[name + ".{}"][0], unit, medians[name + ".{}"][1])
            for name, unit in (("link.drain", "readings/s"), ("link.drain_bytes", "bytes/s"))}  # fmt: skip


def make_gigabit_line():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "tbf", *GIGABIT]).returncode == 0


def main():
    if not make_gigabit_line():
        sys.exit(NO_LINE)
    path = pathlib.Path(sys.argv[1])
    task = json.loads(path.read_text())
    pki, day = pathlib.Path(task["pki"]), {**task["day"], "folder": pathlib.Path(task["day"]["folder"])}
    with scratch("/var/tmp") as base, Broker(base / "broker", pki, ("drain",)) as broker:
        path.write_text(json.dumps(measure_brokered(base, pki, day, broker)))


if __name__ == "__main__":
    main()
