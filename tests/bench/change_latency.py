"""How long a register's change takes to the cloud, as the plant would see it: from the change in the simulated controller to the
arrival of its first reading at a consumer behind RabbitMQ, which has accepted the batch by then. Polled, committed and sealed every
second. Called by bench_link.py.

link.change_ms.p50, .p99    of all changes of 1000 registers, which change every 1.7 to 4.2 s, in 20 groups of a pace of their own;
                            against: the wait for a poll and for a seal that the configuration allows, 1 s each"""

import contextlib
import math
import statistics
import time

from consumer import Consumer
from figures import figure
from gateway import Gateway, cloud_part
from plants import instrument_part, sequence_tags
from simulator import Simulator, block

GROUPS = 20
GROUP_REGISTERS = 50
STEPS_S = [1.7 + 0.13 * group for group in range(GROUPS)]
POLL_MS = SEAL_MS = 1000
WARM_UP_S = 10
MEASURE_S = 60
VALUES = 1 << 16


def plant(stack, folder):
    """Register r of group g holds floor(t / STEPS_S[g]) + its index in the group."""
    blocks = [
        block("holding", GROUP_REGISTERS * group, "uint16", "seconds", count=GROUP_REGISTERS, step=step_s)
        for group, step_s in enumerate(STEPS_S)
    ]
    description = {"tcp": [{"name": "hall", "units": [{"unit": 1, "blocks": blocks}]}]}
    simulator = stack.enter_context(Simulator(folder / "sim", description, recording=False))
    bus = {"name": "hall", "kind": "modbus-tcp", "host": "127.0.0.1", "port": simulator.where["hall"]}
    tags = sequence_tags("hall", 1, GROUPS * GROUP_REGISTERS)
    return {"buses": [bus], "instruments": [instrument_part("live", "hall", 1, tags)]}


def changed_s(register, value, read_s):
    """When the value that was read at that time came to be."""
    group, index = divmod(register, GROUP_REGISTERS)
    step = math.floor(read_s / STEPS_S[group])
    # The time of a reading is that of the reply: the content may be the step's before.
    step -= (step + index - value) % VALUES
    return step * STEPS_S[group]


def arrivals_s(messages):
    """{number of a batch: when it came first}."""
    arrivals = {}
    for came_s, message in messages:
        if message.subject == "batch":
            arrivals.setdefault(int(message.id.rsplit("/", 1)[1]), came_s)
    return arrivals


def latencies_ms(consumer, from_s):
    arrivals = arrivals_s(consumer.inbox.messages)
    latencies = []
    for (_, name), readings in consumer.view().by_tag().items():
        for before, one in zip(readings, readings[1:]):
            if one.value != before.value and one.time_ms / 1000 > from_s:
                latencies.append(1000 * (arrivals[one.batch] - changed_s(int(name[1:]), one.value, one.time_ms / 1000)))
    return latencies


def measure(base, broker, queue, pki):
    with contextlib.ExitStack() as stack:
        folder = base / "change"
        folder.mkdir()
        store = {"commit_interval": f"{SEAL_MS}ms", "forward_interval": f"{SEAL_MS}ms"}
        configuration = {"store": store, **plant(stack, folder), "cloud": cloud_part(broker.port, queue, pki)}
        gateway = stack.enter_context(Gateway(folder / "gateway", configuration))
        consumer = stack.enter_context(Consumer(broker.port, queue, pki))
        gateway.start().wait_for_link()
        time.sleep(WARM_UP_S)
        from_s = time.time()
        time.sleep(MEASURE_S)
        gateway.stop()
        latencies = latencies_ms(consumer, from_s)
    changes = sum(GROUP_REGISTERS * MEASURE_S / step_s for step_s in STEPS_S)
    assert len(latencies) > 0.9 * changes, f"{len(latencies)} of {changes:.0f} changes arrived"
    shares = statistics.quantiles(latencies, n=100)
    print(f"{len(latencies)} changes, {min(latencies):.0f} to {max(latencies):.0f} ms", flush=True)
    return {f"link.change_ms.p{share}": figure(shares[share - 1], "ms", POLL_MS + SEAL_MS) for share in (50, 99)}
