"""Links that come to nothing beyond TLS, that stand and carry nothing, or that the peer ends while they are up: each ends
at the right step with the exact reason, in the status and in the record of the attempt."""

import contextlib
import json
import time

import pytest
from authority import issue
from broker import PLAIN_ONLY, Broker
from common import wait_until
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from impostor import Mute, Silent
from plants import SequencePlant
from proxy import Proxy
from simulator import Simulator

OFTEN = {"commit_interval": "1s", "forward_interval": "1s", "forward_interval_offline": "1s"}
FULL = {"x-max-length": 0, "x-overflow": "reject-publish"}

# case: (step, words of the reason)
CASES = {
    "no EXTERNAL": ("sasl", "offers none of our ways to sign in (EXTERNAL); it offers PLAIN"),
    "no permission": ("attach", "amqp:unauthorized-access: write access to exchange"),
    "missing queue": ("attach", "amqp:not-found: no queue 'nowhere'"),
    "silent before TLS": ("tls", "takes connections but did not answer the TLS handshake in 2000 ms"),
    "silent before open": ("sasl", "did not finish SASL, open and attach in 3000 ms: no answer in step sasl"),
}
# What RabbitMQ does with publishers while it is short of memory: it gives credit, but closes the session's window.
ALARM = "as RabbitMQ when it is short of memory or disk"
# case: what the status says of the batch
REFUSALS = {
    "full queue": "rejected: the peer gave no reason; RabbitMQ does so when a queue behind /queues/full is full",
    "unroutable": "released: the peer gave no reason; RabbitMQ does so when no queue is bound for /exchanges/nobody",
}

CLOSED = "127.0.0.1 closed the connection: amqp:internal-error: Connection forced: <<\"for a test\">>"
# What the peer ends while the link is up. case: (address, the records from then on: what, outcome, step, the whole reason)
ENDS = {
    "connection closed": ("/queues/ended-0", [("connection", "broken", "up", CLOSED), ("attempt", "up", "up", "")]),
    "queue deleted": ("/queues/ended-1", [
        ("connection", "broken", "up", "the peer detached the link to /queues/ended-1: amqp:resource-deleted"),
        ("attempt", "failed", "attach", "the peer ended the session for /queues/ended-1: amqp:not-found: no queue 'ended-1' in "
                                        "vhost '/'"),
    ]),
    # RabbitMQ asks anew only for a new connection.
    "permission taken": ("/queues/ended-2", [
        ("connection", "broken", "up", CLOSED),
        ("attempt", "failed", "attach", "the peer ended the session for /queues/ended-2: amqp:unauthorized-access: write access "
                                        "to exchange 'amq.default' in vhost '/' refused for user 'ender'"),
    ]),
    # The link may be made; whether this routing key may be used is asked with the first message.
    "topic refused": ("/exchanges/amq.topic/plant", [
        ("attempt", "up", "up", ""),
        ("connection", "broken", "up", "the peer ended the session for /exchanges/amq.topic/plant: amqp:unauthorized-access: "
                                       "write access to topic 'plant' in exchange 'amq.topic' in vhost '/' refused for user 'ender'"),
    ]),
}  # fmt: skip
EVERYTHING = (".*", ".*", ".*")


def make_cases(site, broker, stack):
    """{case: what the cloud part has instead}"""
    reader = issue(site.pki, "writer-not", "client", "writer-not")
    plain = stack.enter_context(Broker(site.folder("link_states") / "plain", site.pki, ["readings"], settings=PLAIN_ONLY))
    own = {"certificate": reader.with_suffix(".pem"), "key": reader.with_suffix(".key")}
    return {
        "no EXTERNAL": {"port": plain.port},
        "no permission": own,
        "missing queue": {"address": "/queues/nowhere"},
        "silent before TLS": {"port": stack.enter_context(Silent()).port, "connect_timeout": "2s"},
        "silent before open": {"port": stack.enter_context(Mute(site.pki / "server")).port, "open_timeout": "3s"},
        "full queue": {"address": "/queues/full"},
        "unroutable": {"address": "/exchanges/nobody"},
    }


def failure(gateway, port, limit_s=30):
    """The record of the first attempt at this port that failed, or of a connection that broke."""

    def found():
        for record in gateway.call("attempts", after=0, limit=1000)["records"]:
            if record["outcome"] in ("failed", "broken") and record["endpoint"].endswith(f":{port}"):
                return record
        return None

    return wait_until(found, limit_s, "the failure is recorded", every_s=0.2)


def refused(now):
    """A batch, not the catalogue alone; forebay-cloud tells its state a little later than what becomes of a parcel."""
    link = now["link"]
    return link["refusal"] and link["state"] == "up" and link["oldest_unacknowledged_ms"]


def try_case(folder, base, cloud, case):
    """The status's link, and the record of the attempt, if it was to fail."""
    with Gateway(folder / case.replace(" ", "-").lower(), {**base, "cloud": cloud, "store": OFTEN}) as gateway:
        gateway.start()
        if case in REFUSALS:
            status = gateway.wait_for_status(refused, 20, f"{case}: refused")
            record = None
        else:
            status = gateway.wait_for_status(lambda now: now["link"]["state"] == "waiting", 30, f"{case}: waiting")
            record = failure(gateway, cloud["port"])
        gateway.stop()
    return status["link"], record


def half_open(folder, base, site):
    """The cable breaks without a word: how long until that is seen, and what is told."""
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(site.broker.port))
        cloud = cloud_part(proxy.port, "states", site.pki, idle_timeout="4s")
        gateway = stack.enter_context(Gateway(folder / "half-open", {**base, "cloud": cloud, "store": OFTEN}))
        gateway.start().wait_for_link()
        proxy.stall()
        status = gateway.wait_for_status(lambda now: now["link"]["state"] != "up", 20, "the broken cable is noticed")
        record = wait_until(
            lambda: [one for one in gateway.call("attempts", after=0, limit=1000)["records"]
                     if one["what"] == "connection"], 10, "the end is recorded",
        )[0]  # fmt: skip
        gateway.stop()
        return status["link"], record


def alarm(folder, base, site, limits):
    """RabbitMQ runs short of memory while the link works, and has enough again later: what is told, and what is left to send."""
    with contextlib.ExitStack() as stack:
        starved = stack.enter_context(Broker(folder / "starved", site.pki, ["readings"]))
        cloud = cloud_part(starved.port, "readings", site.pki, **limits)
        gateway = stack.enter_context(Gateway(folder / "alarm", {**base, "cloud": cloud, "store": OFTEN}))
        gateway.start()
        gateway.wait_for_status(lambda now: now["link"]["accepted"] > 0, 20, "batches go")
        starved.control("set_vm_memory_high_watermark", "absolute", "1MB")
        status = gateway.wait_for_status(lambda now: now["link"]["state"] == "waiting", 30, "the link is given up")
        record = failure(gateway, starved.port)
        short = gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] > 5, 30, "batches are kept")
        starved.control("set_vm_memory_high_watermark", "0.6")
        after = gateway.wait_for_status(
            lambda now: now["store"]["unsent_batches"] <= 1 and now["link"]["accepted"] > short["link"]["accepted"]
            and now["link"]["state"] == "up", 60, "all goes once the alarm has ended",
        )  # fmt: skip
        gateway.stop()
    return status["link"], record, short, after


class Ender:
    """Ends a link that is up, and mends what it took for that: {case: (before the start, while up, mended)}."""

    def __init__(self, broker):
        self.control = broker.control
        self.ways = {
            "connection closed": (None, self.close, None),
            "queue deleted": (None, self.delete_queue, lambda: self.control("import_definitions", "/mnt/definitions.json")),
            "permission taken": (None, self.take_permission, lambda: self.control("set_permissions", "ender", *EVERYTHING)),
            "topic refused": (lambda: self.allow_topic("^other$"), None, lambda: self.allow_topic("^plant$")),
        }

    def close(self):
        self.control("close_all_user_connections", "ender", "for a test")

    def delete_queue(self):
        """What is in it would be lost with it, and with the broker's word that it was kept."""

        def deleted():
            with contextlib.suppress(AssertionError):
                return self.control("delete_queue", "ended-1", "--if-empty")

        wait_until(deleted, 20, "the queue is empty, and deleted")

    def take_permission(self):
        self.control("set_permissions", "ender", "", "", ".*")
        self.close()

    def allow_topic(self, keys):
        self.control("set_topic_permissions", "ender", "amq.topic", keys, ".*")


def ended_while_up(folder, site, broker, sim, plant, case):
    """The records from the end on until it is mended, and what came of what was read meanwhile."""
    address, records = ENDS[case]
    before, while_up, mend = Ender(broker).ways[case]
    certificate = site.pki / "ender"
    cloud = cloud_part(broker.port, "", site.pki, address=address, certificate=certificate.with_suffix(".pem"),
                       key=certificate.with_suffix(".key"))  # fmt: skip
    queue = f"ended-{list(ENDS).index(case)}"
    with contextlib.ExitStack() as stack:
        if before is not None:
            before()
        consumer = stack.enter_context(Consumer(broker.port, queue, site.pki))
        configuration = {**plant.configuration(sim.where), "cloud": cloud, "store": OFTEN}
        gateway = stack.enter_context(Gateway(folder / queue, configuration))
        gateway.start()
        since_s, known = time.time() + 1, 0
        if while_up is not None:
            gateway.wait_for_status(lambda now: now["link"]["accepted"] > 0, 20, "batches go")
            known = len(gateway.call("attempts", after=0, limit=1000)["records"])
            while_up()
        wait_until(lambda: len(gateway.call("attempts", after=known, limit=1000)["records"]) >= len(records), 30, case)
        found = gateway.call("attempts", after=known, limit=1000)["records"][: len(records)]
        time.sleep(1.5)  # something is read that cannot go
        if mend is not None:
            mend()
        gateway.wait_for_link()
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        consumer.wait_for_gaps()
        slots = until_s - since_s - sum(gateway.skipped().values())
        gateway.stop()
        view = consumer.view()
        return found, compare(sim.record(), view.by_tag(), plant.tags, since_s, until_s), view, slots


def bind_topic(broker):
    """Everything that comes to the topic exchange goes to the queue of its case."""
    binding = {"source": "amq.topic", "vhost": "/", "destination": "ended-3", "destination_type": "queue", "routing_key": "#",
               "arguments": {}}  # fmt: skip
    (broker.folder / "topic.json").write_text(json.dumps({"bindings": [binding]}), encoding="utf-8")
    broker.control("import_definitions", "/mnt/topic.json")


def run(site):
    folder = site.folder("link_states")
    plant = SequencePlant(10)
    found = {}
    with contextlib.ExitStack() as stack:
        none = {"configure": "", "write": "", "read": ".*"}
        broker = stack.enter_context(
            Broker(folder / "broker", site.pki, {"readings": {}, "full": FULL, **{f"ended-{i}": {} for i in range(len(ENDS))}},
                   users=("gateway", "consumer", "writer-not", "ender"), exchanges={"nobody": ()}, permissions={"writer-not": none})
        )  # fmt: skip
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        base = plant.configuration(sim.where)
        limits = {"ack_timeout": "4s"}
        usual = cloud_part(broker.port, "readings", site.pki, **limits)
        for case, changed in make_cases(site, broker, stack).items():
            found[case] = try_case(folder, base, {**usual, **changed}, case)
        found["half-open"] = half_open(folder, base, site)
        issue(site.pki, "ender", "client", "ender")
        bind_topic(broker)
        for case in ENDS:
            found[case] = ended_while_up(folder, site, broker, sim, plant, case)
        found["memory alarm"] = alarm(folder, base, site, limits)
    return found


pytestmark = pytest.mark.scenario(run, turn=3)


@pytest.mark.parametrize("case", CASES)
def test_step_and_reason(outcome, case):
    step, words = CASES[case]
    link, record = outcome[case]
    assert (record["step"], record["outcome"]) == (step, "failed"), record
    assert words in record["reason"], record
    assert link["step"] == step and words in link["reason"], link
    assert record["duration_ms"] >= 0 and (step == "tls" or record["bytes_in"] > 0)


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refused_batch_says_why_and_the_link_stays_up(outcome, case):
    link, _ = outcome[case]
    assert link["refusal"].startswith(REFUSALS[case]), link
    assert link["state"] == "up" and link["oldest_unacknowledged_ms"] is not None, link


def test_a_broker_that_takes_nothing_is_left_and_its_alarm_guessed(outcome):
    link, record, _, _ = outcome["memory alarm"]
    assert (record["what"], record["outcome"], record["step"]) == ("connection", "broken", "up"), record
    assert "left messages unanswered for 4 s" in record["reason"] and ALARM in record["reason"], record
    assert link["oldest_unacknowledged_ms"] is not None, link


def test_when_the_alarm_ends_everything_goes_by_itself(outcome):
    _, _, short, after = outcome["memory alarm"]
    assert short["store"]["lost_readings"] == after["store"]["lost_readings"] == 0
    assert after["link"]["parked"]["batches"] == 0 and after["link"]["state"] == "up"


def test_a_broken_cable_is_found_by_the_idle_timeout(outcome):
    link, record = outcome["half-open"]
    assert "was silent for 4000 ms" in record["reason"], record
    assert record["outcome"] == "broken" and record["duration_ms"] > 0


@pytest.mark.parametrize("case", ENDS)
def test_what_the_peer_ends_while_up_is_recorded_exactly(outcome, case):
    found, *_ = outcome[case]
    assert [(one["what"], one["outcome"], one["step"], one["reason"]) for one in found] == ENDS[case][1]


@pytest.mark.parametrize("case", ENDS)
def test_when_it_is_mended_nothing_is_lost(outcome, case):
    _, found, view, slots = outcome[case]
    found.assert_equal(at_least=int(slots - 2) * 10)
    (store,) = view.stores()
    assert not view.missing_numbers(store) and not view.losses()
    view.check_chain()
