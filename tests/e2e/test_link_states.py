"""Links that come to nothing beyond TLS, or stand and carry nothing: each ends at the right step with the exact reason,
in the status and in the record of the attempt."""

import contextlib

import pytest
from authority import issue
from broker import PLAIN_ONLY, Broker
from common import wait_until
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


def make_cases(site, broker, stack):
    """{case: what the cloud part has instead}"""
    reader = issue(site.pki, "writer-not", "client", "writer-not")
    plain = stack.enter_context(Broker(site.folder("link_states") / "plain", site.pki, ["readings"], settings=PLAIN_ONLY))
    own = {"certificate": reader.with_suffix(".pem"), "key": reader.with_suffix(".key")}
    return {
        "no EXTERNAL": {"port": plain.port},
        "no permission": own,
        "missing queue": {"address": "/queues/nowhere"},
        "silent before TLS": {"port": stack.enter_context(Silent()).port},
        "silent before open": {"port": stack.enter_context(Mute(site.pki / "server")).port},
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


def try_case(folder, base, cloud, case):
    """The status's link, and the record of the attempt, if it was to fail."""
    with Gateway(folder / case.replace(" ", "-").lower(), {**base, "cloud": cloud, "store": OFTEN}) as gateway:
        gateway.start()
        if case in REFUSALS:
            status = gateway.wait_for_status(lambda now: now["link"]["refusal"], 20, f"{case}: refused")
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
        cloud = cloud_part(proxy.port, "states", site.pki, idle_timeout="4s", connect_timeout="2s", open_timeout="3s")
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
            lambda now: now["store"]["unsent_batches"] <= 1 and now["link"]["accepted"] > short["link"]["accepted"], 60,
            "all goes once the alarm has ended",
        )
        gateway.stop()
    return status["link"], record, short, after


def run(site):
    folder = site.folder("link_states")
    plant = SequencePlant(10)
    found = {}
    with contextlib.ExitStack() as stack:
        none = {"configure": "", "write": "", "read": ".*"}
        broker = stack.enter_context(
            Broker(folder / "broker", site.pki, {"readings": {}, "full": FULL}, users=("gateway", "writer-not"),
                   exchanges={"nobody": ()}, permissions={"writer-not": none})
        )  # fmt: skip
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        base = plant.configuration(sim.where)
        limits = {"connect_timeout": "2s", "open_timeout": "3s", "ack_timeout": "4s"}
        usual = cloud_part(broker.port, "readings", site.pki, **limits)
        for case, changed in make_cases(site, broker, stack).items():
            found[case] = try_case(folder, base, {**usual, **changed}, case)
        found["half-open"] = half_open(folder, base, site)
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
