"""How many gateways one RabbitMQ 4 holds that all send a batch every ten seconds, and what each costs. The links are real
forebay-cloud processes with a certificate each (tests/fleet), the batches have 100 tags read once a second, the queues are
quorum queues, and consumers read them; all of it on this one machine, so that the broker has less than the whole of it.

A number of gateways is held when every link is up, none breaks, and 99 of 100 batches are accepted within LATENCY_MS.
It is raised step by step until one is not held, or to the last step.

fleet.gateways              the last number held; against: the last step
fleet.link_cpu_share        processor of a link; against: of the broker, divided by the links
fleet.link_pss_mb           memory of a link; against: all of the broker's, divided by the links

Usage by itself: fleet_size.py BUILD_FOLDER [STEP ...]"""

import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "fleet"), str(HERE.parent / "decoder")]

import processes
from broker import Broker
from cluster import QUEUE
from consumer import Consumer
from figures import figure
from fleet import Fleet, gateways, make_certificates, permissions

STEPS = (1000, 2000, 3000, 4000)
INTERVAL_MS = 10000
TAGS = 100
QUEUES = tuple(f"readings-{i}" for i in range(3))
LATENCY_MS = 2000
AT_ONCE = 50  # links that are started together
UP_LIMIT_S = 120  # for those
MEASURE_S = 2 * INTERVAL_MS / 1000


def machine_s():
    """Processor seconds of the machine so far: busy, and all."""
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK"), sum(ticks) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, fleet, broker):
        self.fleet, self.broker = fleet, broker

    def _cpu_s(self):
        return {
            "broker": processes.cpu_s(processes.below(self.broker.process.pid)),
            "links": processes.cpu_s([link.pid for link in self.fleet.links]),
            "field and cores": processes.cpu_s([self.fleet.cores_pid]),
            "consumers": time.process_time(),
        }

    def grow(self, count):
        while len(self.fleet.links) < count:
            self.fleet.start_links(min(count, len(self.fleet.links) + AT_ONCE))
            self.fleet.wait_until_up(UP_LIMIT_S)
        time.sleep(INTERVAL_MS / 1000)  # until each has sent

    def measure(self):
        """With the links that there are: what each part costs, and whether that is held."""
        count = len(self.fleet.links)
        broken, sealed = self._broken(), set(self.fleet.read().sealed)
        begun, before, machine = time.monotonic(), self._cpu_s(), machine_s()
        time.sleep(MEASURE_S)
        passed, after, machine_then = time.monotonic() - begun, self._cpu_s(), machine_s()
        fresh = set(self.fleet.read().sealed) - sealed
        time.sleep(LATENCY_MS / 1000)  # so that the youngest have their time, too
        broken = self._broken() - broken
        late = {key for key in fresh if self.fleet.accepted.get(key, float("inf")) > LATENCY_MS}
        median, p99 = self.fleet.latency_ms(fresh)
        result = {
            "gateways": count, "held": not broken and len(self.fleet.up_at()) == count and len(late) < len(fresh) / 100,
            "batches_s": round(len(fresh) / passed, 1), "broken": broken, "late": len(late),
            "median_ms": median, "p99_ms": round(p99),
            "cpu_percent": {name: round(100 * (after[name] - before[name]) / passed, 1) for name in after},
            "machine_busy_percent": round(100 * (machine_then[0] - machine[0]) / (machine_then[1] - machine[1])),
            "broker_mb": round(processes.memory_mb(processes.below(self.broker.process.pid)), 1),
            "links_mb": round(processes.memory_mb([link.pid for link in self.fleet.links]), 1),
        }  # fmt: skip
        print(f"  {json.dumps(result)}", flush=True)
        return result

    def _broken(self):
        self.fleet.read()
        return sum(one["outcome"] in ("broken", "failed") for some in self.fleet.attempts.values() for one in some)


def climb(steps):
    """The results of each step that was held, and of the first that was not; empty when the links do not even come up."""
    names = gateways(max(steps))
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forebay-bench-")))
        pki = make_certificates(scratch / "pki", len(names))
        routes = {name: QUEUES[i % len(QUEUES)] for i, name in enumerate(names)}
        queues = dict.fromkeys(QUEUES, QUEUE)
        users = (*names, "consumer")
        broker = stack.enter_context(Broker(scratch / "broker", pki, queues, users, permissions=permissions(routes)))
        for queue in QUEUES:
            stack.enter_context(Consumer(broker.port, queue, pki))
        ports = {name: (queue, [broker.port]) for name, queue in routes.items()}
        fleet = stack.enter_context(Fleet(scratch / "fleet", pki, ports, INTERVAL_MS, TAGS))
        bench, results = Bench(fleet, broker), []
        for step in steps:
            try:
                bench.grow(step)
            except AssertionError as problem:
                print(f"  {step} gateways: {problem}", flush=True)
                break
            results.append(bench.measure())
            if not results[-1]["held"]:
                break
        return results


def measure(steps=STEPS):
    held = [result for result in climb(steps) if result["held"]]
    assert held, "not even the first step is held"
    last = held[-1]
    count, cpu = last["gateways"], last["cpu_percent"]
    return {
        "fleet.gateways": figure(count, "gateways", max(steps)),
        "fleet.link_cpu_share": figure(cpu["links"] / count, "% of one core", cpu["broker"] / count),
        "fleet.link_pss_mb": figure(last["links_mb"] / count, "MB", last["broker_mb"] / count),
    }


if __name__ == "__main__":
    os.environ["V"] = pathlib.Path(sys.argv[1]).resolve().name
    print(json.dumps(measure([int(word) for word in sys.argv[2:]] or STEPS), indent=2))
