"""Many gateways' links against one RabbitMQ 4, and against a cluster of three that loses the node most of them use. FLEET=N
says how many (`make fleet N=200`)."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import sys
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "decoder")]

from broker import Broker  # noqa: E402  of tests/e2e
from cluster import QUEUE, Cluster  # noqa: E402
from common import TOP, wait_until  # noqa: E402
from consumer import Consumer  # noqa: E402
from fleet import Fleet, gateways, make_certificates, permissions  # noqa: E402
from proton import Message  # noqa: E402
from proton.utils import BlockingConnection  # noqa: E402

COUNT = int(os.environ.get("FLEET", "12"))
QUEUES = tuple(f"readings-{i}" for i in range(3))
TAGS = 10
INTERVAL_MS = 1000 if COUNT <= 200 else 5 * COUNT  # 200 batches a second at most: the machine is not what is tested
LIMIT_S = 60 + COUNT / 4
RETURN_AFTER_MS = 3000
ELSEWHERE = 4  # every fourth gateway prefers a node that is not killed
DEATHS = 22  # RabbitMQ 4 drops a quorum queue's message after 21 unless told otherwise


class Outcome:
    """What was sealed, and what the consumers, one a queue, have got."""

    def __init__(self, fleet, consumers, told=None):
        self.fleet, self.told = fleet, told or {}
        self.views = [consumer.view() for consumer in consumers]
        self.received = {}
        for view in self.views:
            for (_, number), (body, batch) in view.batches.items():
                self.received[batch.gateway, number] = hashlib.sha256(body).hexdigest()

    def check(self):
        assert self.fleet.sealed == self.received, sorted(self.fleet.sealed.items() ^ self.received.items())[:10]
        for view in self.views:
            view.check_chain()
            assert not view.wrong_properties and len(view.stores()) == len(self.queue_gateways(view))
            assert not any(view.missing_numbers(store) for store in view.stores())
        assert set(self.fleet.accepted) == set(self.fleet.sealed)

    @staticmethod
    def queue_gateways(view):
        return {batch.gateway for _, batch in view.batches.values()}

    def summary(self):
        median, p99 = self.fleet.latency_ms()
        return {
            "gateways": len(self.fleet.routes), "batches": len(self.received), "interval_ms": INTERVAL_MS,
            "repeats": sum(view.repeats for view in self.views), "refused": len(self.fleet.refused),
            "accepted_ms_median": median, "accepted_ms_p99": p99, **self.told,
        }  # fmt: skip


def finish(fleet, consumers, told=None):
    fleet.drain(LIMIT_S)

    def all_here():
        return sum(len(consumer.view().batches) for consumer in consumers) >= len(fleet.sealed)

    with contextlib.suppress(AssertionError):  # what is missing is told by check()
        wait_until(all_here, LIMIT_S, "the consumers have everything")
    outcome = Outcome(fleet, consumers, told)
    print(json.dumps(outcome.summary()))
    return outcome


@pytest.fixture(scope="module", name="pki")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("fleet") / "pki", COUNT)


@pytest.fixture(scope="module", name="routes")
def routes_of_gateways():
    """{gateway: its queue}"""
    return {name: QUEUES[i % len(QUEUES)] for i, name in enumerate(gateways(COUNT))}


@pytest.fixture(scope="module", name="broker")
def one_broker(tmp_path_factory, pki, routes):
    queues = dict.fromkeys((*QUEUES, "deaths"), QUEUE)
    folder = tmp_path_factory.mktemp("broker")
    with Broker(folder, pki, queues, (*routes, "consumer"), permissions=permissions(routes)) as broker:
        yield broker
        broker.kill()


def test_its_links_are_told_what_core_tells():
    """forebay-cloud drops a core that leaves a setting out: the list in fleet.py must follow link_settings.c."""
    source = (TOP / "gateway/common/link_settings.c").read_text(encoding="ascii")
    table = source.partition("fields[] = {")[2].partition("};")[0]
    wanted = set(re.findall(r'^    \{(?:\w+\()?"?(\w+)', table, re.MULTILINE))
    assert "window_bytes" in wanted and wanted == set(Fleet._link("gw-1", "queue", [1], pathlib.Path("pki"), {}))


def test_one_broker_takes_every_gateways_batches(tmp_path, pki, broker, routes):
    with contextlib.ExitStack() as stack:
        consumers = [stack.enter_context(Consumer(broker.port, queue, pki)) for queue in QUEUES]
        ports = {name: (queue, [broker.port]) for name, queue in routes.items()}
        fleet = stack.enter_context(Fleet(tmp_path / "fleet", pki, ports, INTERVAL_MS, TAGS))
        fleet.start_links()
        fleet.wait_until_up(LIMIT_S)
        fleet.wait_until_each_accepted(3, LIMIT_S)
        outcome = finish(fleet, consumers)
    outcome.check()


def test_no_number_of_consumers_that_die_loses_a_message(pki, broker):
    domain = Consumer(broker.port, "deaths", pki).inbox.domain

    def connect():
        return BlockingConnection(f"amqps://localhost:{broker.port}", ssl_domain=domain, allowed_mechs="EXTERNAL", timeout=20)

    sender = connect()
    sender.create_sender("/queues/deaths").send(Message(body=b"batch", durable=True))
    sender.close()
    for _ in range(DEATHS):
        consumer = connect()
        assert bytes(consumer.create_receiver("/queues/deaths", credit=1).receive(timeout=20).body) == b"batch"
        consumer.close()  # without an answer, as one that dies


def lose_a_node(cluster, fleet, users):
    """Kill the node that these gateways use, with batches of all under way: the other nodes are held until then, so that no
    batch finds a majority. Start it again. Tells how long things took."""
    lost, others = cluster.ports[0], cluster.ports[1:]
    fleet.wait_until_up(LIMIT_S)
    fleet.wait_until_up(LIMIT_S, [lost], users)
    fleet.wait_until_each_accepted(2, LIMIT_S)
    leaders = cluster.leaders()
    for node in cluster.nodes[1:]:
        node.pause()
    wait_until(lambda: fleet.read().under_way() == set(fleet.routes), LIMIT_S, "every gateway has a batch under way")
    killed = time.monotonic()
    cluster.nodes[0].kill()
    for node in cluster.nodes[1:]:
        node.resume()
    fleet.wait_until_up(LIMIT_S, others)
    moved = time.monotonic() - killed
    fleet.wait_until_each_accepted(2, LIMIT_S)
    flowing = time.monotonic() - killed
    leaders_then = cluster.leaders(by=1)
    back = time.monotonic()
    cluster.nodes[0].start()
    started = time.monotonic() - back
    fleet.wait_until_up(LIMIT_S, [lost], users)
    fleet.wait_until_each_accepted(2, LIMIT_S)
    return {
        "leaders": leaders, "leaders_without": leaders_then, "moved_s": round(moved, 2), "flowing_s": round(flowing, 2),
        "node_started_s": round(started, 2), "returned_s": round(time.monotonic() - back, 2),
    }  # fmt: skip


def ports_of(names, ports):
    """{gateway: ports in the order of preference}: the first one first, but for every fourth gateway; the spares by turns."""
    first, *spares = ports
    orders = {}
    for i, name in enumerate(names):
        turned = spares if i % 2 else spares[::-1]
        orders[name] = [*turned, first] if i % ELSEWHERE == ELSEWHERE - 1 else [first, *turned]
    return orders


def connections(records):
    """The ports of a link's connections, in order."""
    up = [one for one in records if (one["what"], one["outcome"]) == ("attempt", "up")]
    return [int(one["endpoint"].rpartition(":")[2]) for one in up]


def test_when_a_node_of_a_cluster_is_killed_its_links_go_to_another_and_nothing_is_lost(tmp_path, pki, routes):
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(
            Cluster(tmp_path / "cluster", pki, QUEUES, (*routes, "consumer"), permissions(routes))
        )
        first, *spares = cluster.ports
        consumers = [stack.enter_context(Consumer(first, queue, pki, spares)) for queue in QUEUES]
        orders = ports_of(routes, cluster.ports)
        ports = {name: (queue, orders[name]) for name, queue in routes.items()}
        fleet = stack.enter_context(
            Fleet(tmp_path / "fleet", pki, ports, INTERVAL_MS, TAGS, return_after_ms=RETURN_AFTER_MS)
        )
        fleet.start_links()
        users = [name for name, order in orders.items() if order[0] == first]
        outcome = finish(fleet, consumers, lose_a_node(cluster, fleet, users))
    outcome.check()
    assert 0 in outcome.told["leaders"].values() and 0 not in outcome.told["leaders_without"].values()
    for name, records in fleet.attempts.items():
        used = connections(records)
        if orders[name][0] == first:
            assert used[0] == used[-1] == first and set(used) & set(spares), (name, records)
        else:
            assert used == orders[name][:1], (name, records)
