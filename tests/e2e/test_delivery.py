"""What goes over the link and when, after an outage that fill_store has made: batches larger than the peer takes are parked,
shown, exported and go once it takes them; backlog keeps to the month's budget while live batches and events go on."""

import contextlib
import getpass
import json
import subprocess

import pytest
from broker import Broker
from consumer import Consumer, forebay_batch
from common import program, wait_until
from gateway import Gateway, cloud_part
from plants import instrument_part, sequence_blocks, sequence_tags
from simulator import Simulator

SMALL_BYTES = 65536
SECONDS_LARGE = 300  # float32: batches of about 70 kB
SECONDS_MANY = 3600
TAGS = 4


def fill(folder, seconds, data):
    """The store of a gateway that was cut off for so long; its figures."""
    tool = program("tests/fill_store")
    words = [tool, folder / "data", folder.name.replace("_", "-"), str(seconds), "180", data]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, timeout=120).stdout)


def plant(stack, folder):
    description = {"tcp": [{"name": "hall", "units": [{"unit": 1, "blocks": sequence_blocks(TAGS)}]}]}
    simulator = stack.enter_context(Simulator(folder / "sim", description))
    bus = {"name": "hall", "kind": "modbus-tcp", "host": "127.0.0.1", "port": simulator.where["hall"]}
    return {"buses": [bus], "instruments": [instrument_part("live", "hall", 1, sequence_tags("hall", 1, TAGS))]}


def parked(gateway):
    return [json.loads(line) for line in gateway.command("parked", "--json", "-c", gateway.file).splitlines()]


def counts(status):
    return {name: status["link"]["parked"][name] for name in ("batches", "readings")}


class Outcome:
    """What a scenario leaves for its tests."""


def run_large(site):
    folder = site.folder("delivery_large")
    result = Outcome()
    with contextlib.ExitStack() as stack:
        broker = Broker(folder / "broker", site.pki, ("large",), settings=f"max_message_size = {SMALL_BYTES}\n")
        stack.enter_context(broker)
        consumer = stack.enter_context(Consumer(broker.port, "large", site.pki))
        result.stored = fill(folder, SECONDS_LARGE, "float32")
        cloud = cloud_part(broker.port, "large", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**plant(stack, folder), "cloud": cloud}))
        gateway.start().wait_for_link()
        gateway.wait_for_status(
            lambda status: status["link"]["parked"]["batches"] > 0 and status["link"]["accepted"] > 3, 30, "live ones go"
        )
        result.status = gateway.wait_for_status(
            lambda status: status["store"]["unsent_batches"] == status["link"]["parked"]["batches"], 30,
            "nothing but parked batches is left",
        )
        result.parked = parked(gateway)
        result.page = gateway.command("parked", "-c", gateway.file)
        gateway.command("export", "--parked", "--format", "raw", "-o", folder / "raw", "-c", gateway.file)
        gateway.command("export", "--parked", "--format", "csv", "-o", folder / "parked.csv", "-c", gateway.file)
        result.raw = {path.stem: path.read_bytes() for path in (folder / "raw").glob("*.fbb")}
        result.csv = (folder / "parked.csv").read_text(encoding="utf-8").splitlines()
        result.retried = gateway.command("parked", "retry", str(result.parked[0]["number"]), "-c", gateway.file)
        result.unknown = gateway.command("parked", "retry", "999999", "-c", gateway.file, code=1)
        result.again = gateway.wait_for_status(
            lambda status: counts(status) == counts(result.status), 10, "it is parked again"
        )
        result.audit = gateway.call("audit")["records"]
        gateway.kill_all()
        gateway.start().wait_for_link()
        result.restarted = gateway.wait_for_status(lambda status: status["link"]["accepted"] > 0, 30, "live ones go")
        broker.stop()
        broker.configure("")
        broker.start()
        gateway.wait_for_status(
            lambda status: status["link"]["parked"]["batches"] == 0 and status["link"]["accepted"] > 3, 60,
            "what was parked goes",
        )
        wait_until(lambda: not missing(consumer.view()), 60, "all have arrived", every_s=0.2)
        gateway.stop()
        result.view = consumer.view()
    return result


def run_rejected(site):
    """A queue that is full most of the time: RabbitMQ rejects many batches again and again, and takes some in between; until
    the queue may be as long as it likes."""
    folder = site.folder("delivery_rejected")
    result = Outcome()
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", site.pki, ["rejected"]))
        full = json.dumps({"max-length": 1, "overflow": "reject-publish"})
        broker.control("set_policy", "full", "^rejected$", full, "--apply-to", "queues")
        consumer = stack.enter_context(Consumer(broker.port, "rejected", site.pki, every_s=2))
        cloud, store = cloud_part(broker.port, "rejected", site.pki), {"commit_interval": "1s", "forward_interval": "1s"}
        gateway = stack.enter_context(Gateway(folder, {**plant(stack, folder), "cloud": cloud, "store": store}))
        gateway.start().wait_for_link()
        gateway.wait_for_status(lambda status: status["link"]["parked"]["batches"] > 0, 120, "a batch is parked")
        result.parked = parked(gateway)
        before = gateway.status()["link"]["accepted"]
        result.status = gateway.wait_for_status(lambda now: now["link"]["accepted"] > before + 2, 30, "others go")
        broker.control("clear_policy", "full")
        consumer.hurry()
        gateway.kill("forebay-cloud")  # what would wait for minutes before it is tried again goes with the new session
        gateway.wait_for_link()
        gateway.wait_for_status(
            lambda now: now["store"]["unsent_batches"] <= now["link"]["parked"]["batches"] + 1, 120, "all others have gone"
        )
        result.left = parked(gateway)
        gateway.command("export", "--parked", "--format", "raw", "-o", folder / "raw", "-c", gateway.file)
        result.raw = [path.read_bytes() for path in (folder / "raw").glob("*.fbb")]
        gateway.command("parked", "retry", "all", "-c", gateway.file)
        wait_until(lambda: not missing(consumer.view()), 60, "all have arrived", every_s=0.2)
        result.view = consumer.view()
        gateway.stop()
    return result


def missing(view):
    (store,) = view.stores() or ([None],)
    return store is None or view.missing_numbers(store)


def run_budget(site):
    folder = site.folder("delivery_budget")
    result = Outcome()
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "budget", site.pki))
        result.stored = fill(folder, SECONDS_MANY, "noisy")
        cloud = cloud_part(site.broker.port, "budget", site.pki, monthly_budget="1MB")
        rest = plant(stack, folder)
        gateway = stack.enter_context(Gateway(folder, {**rest, "cloud": cloud}))
        gateway.start().wait_for_link()
        spent = gateway.wait_for_status(lambda status: status["link"]["month"]["spent"], 30, "the budget is spent")
        result.spent = spent["link"]["month"]
        result.later = gateway.wait_for_status(
            lambda status: status["link"]["accepted"] >= spent["link"]["accepted"] + 4, 30, "live ones go on"
        )
        wait_until(
            lambda: any(event["event"] == "budget-spent" for event in consumer.view().events.values()), 20, "the event has arrived"
        )
        result.events = list(consumer.view().events.values())
        result.historical = sum(is_historical(message) for _, message in consumer.inbox.messages)
        gateway.kill_all()
        gateway.start().wait_for_link()
        result.restarted = gateway.status()["link"]["month"]
        gateway.configure({**rest, "cloud": {**cloud, "monthly_budget": "100MB"}})
        gateway.reload()
        wait_until(lambda: not missing(consumer.view()), 60, "all have arrived", every_s=0.2)
        gateway.stop()
        result.view = consumer.view()
        result.kinds = [(message.subject, is_historical(message)) for _, message in consumer.inbox.messages]
    return result


def is_historical(message):
    return (message.properties or {}).get("historical", False)


large = pytest.mark.scenario(run_large, turn=4)
budget = pytest.mark.scenario(run_budget, turn=4)
rejected = pytest.mark.scenario(run_rejected, turn=4)


@large
def test_larger_batches_are_parked_and_the_others_go(outcome):
    link = outcome.status["link"]
    assert SMALL_BYTES - 2048 < link["parcel_bytes_most"] < SMALL_BYTES
    assert outcome.stored["batches"] // 2 < link["parked"]["batches"] == len(outcome.parked)
    assert link["parked"]["readings"] == sum(one["readings"] for one in outcome.parked)
    assert outcome.status["store"]["lost_readings"] == 0
    assert all("larger than the peer takes" in one["reason"] and one["too_large"] for one in outcome.parked)
    assert all(str(one["number"]) in outcome.page and one["reason"] in outcome.page for one in outcome.parked)


@large
def test_parked_batches_can_be_exported(outcome):
    decoded = [forebay_batch.decode_batch(raw) for raw in outcome.raw.values()]
    assert sorted(one.number for one in decoded) == [one["number"] for one in outcome.parked]
    assert len(outcome.csv) == 1 + sum(one["readings"] for one in outcome.parked)


@large
def test_a_parked_batch_can_be_tried_again_and_that_is_audited(outcome):
    assert outcome.retried.startswith("1 ")
    assert "not parked" in outcome.unknown
    found = [one for one in outcome.audit if one["action"] == "parked-retry"]
    assert found and found[0]["outcome"] == "done" and found[0]["details"]["released"] == 1
    assert found[0]["who"] == getpass.getuser()


@large
def test_parked_batches_outlive_a_kill_and_go_when_the_peer_takes_them(outcome):
    assert counts(outcome.restarted) == counts(outcome.status)
    outcome.view.check_chain()
    assert not outcome.view.wrong_properties and not outcome.view.losses()
    number = outcome.stored["batches"]
    sent = sum(len(batch.readings) for (_, n), (_, batch) in outcome.view.batches.items() if n <= number)
    assert sent == outcome.stored["readings"]


@large
def test_parking_is_told_as_an_event(outcome):
    told = [event for event in outcome.view.events.values() if event["event"] == "batch-parked"]
    assert told and "larger than the peer takes" in told[0]["details"]["reason"]


@rejected
def test_a_batch_that_is_rejected_five_times_is_parked_and_the_others_go(outcome):
    assert outcome.parked and outcome.status["link"]["state"] == "up"
    for one in outcome.parked:
        assert one["rejections"] == 5 and not one["too_large"], one
        assert one["reason"].startswith("rejected: the peer gave no reason; RabbitMQ does so when a queue"), one
    assert outcome.status["store"]["lost_readings"] == 0


@rejected
def test_what_was_rejected_is_offered_for_export_and_goes_when_asked_for(outcome):
    numbers = sorted(forebay_batch.decode_batch(raw).number for raw in outcome.raw)
    assert numbers == [one["number"] for one in outcome.left] and {one["number"] for one in outcome.parked} <= set(numbers)
    outcome.view.check_chain()
    assert not outcome.view.losses() and not outcome.view.wrong_properties


@budget
def test_backlog_waits_at_the_end_of_the_budget_and_live_batches_go_on(outcome):
    assert outcome.spent["bytes"] >= outcome.spent["budget"] == 1024 * 1024
    assert outcome.later["link"]["month"]["bytes"] > outcome.spent["bytes"]
    assert 0 < outcome.historical < outcome.stored["batches"]


@budget
def test_what_the_month_has_cost_outlives_a_kill(outcome):
    assert outcome.restarted["spent"] and outcome.restarted["month"] == outcome.spent["month"]


@budget
def test_the_end_of_the_budget_is_an_event(outcome):
    assert [event["event"] for event in outcome.events].count("budget-spent") == 1


@budget
def test_everything_goes_when_there_is_budget_again(outcome):
    outcome.view.check_chain()
    assert not outcome.view.wrong_properties and not outcome.view.losses()
    assert ("batch", False) in outcome.kinds and ("batch", True) in outcome.kinds
    assert outcome.kinds.count(("batch", True)) >= outcome.stored["batches"]
