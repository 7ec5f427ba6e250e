"""A catalogue that the broker does not take: readings go on without their tags' names, which the status, the page and an event
say, and it arrives as soon as it can."""

import contextlib
import json
import random
import sys

import pytest
from broker import Broker
from common import TESTS, free_port, wait_until
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant, instrument_part, sequence_blocks, sequence_tags, tcp_part
from simulator import Simulator

sys.path.insert(0, str(TESTS / "page"))

from browser import Browser  # noqa: E402  of tests/page

SMALL_BYTES = 20000
INSTRUMENTS, TAGS_OF_EACH = 15, 100
OFTEN = {"commit_interval": "1s", "forward_interval": "1s"}
PROBLEM = "Readings arrive without the names of their tags"


def large_plant(stack, folder):
    """Its catalogue is larger than the broker takes: many tags, whose names do not compress."""
    chance = random.Random(1)
    description = {"tcp": [{"name": "hall", "units": [{"unit": 1, "blocks": sequence_blocks(TAGS_OF_EACH)}]}]}
    simulator = stack.enter_context(Simulator(folder / "sim", description))
    instruments = []
    for i in range(INSTRUMENTS):
        tags = sequence_tags("hall", 1, TAGS_OF_EACH)
        named = {f"{chance.getrandbits(112):028x}": tag for tag in tags.values()}
        instruments.append(instrument_part(f"i{i}", "hall", 1, named, interval="2s"))
    return {"buses": [tcp_part("hall", simulator.where["hall"])], "instruments": instruments, "store": OFTEN}


def refusals(gateway):
    return [one for one in gateway.call("events", limit=1000)["records"] if one["event"] == "catalogue-refused"]


def event_names(consumer):
    return [event["event"] for event in consumer.view().events.values()]


class Outcome:
    """What a scenario leaves for its tests."""


def run_full(site, broker, folder):
    """The queue is full when the first catalogue comes, and has room later."""
    result, plant = Outcome(), SequencePlant(10)
    with contextlib.ExitStack() as stack:
        full = json.dumps({"max-length": 0, "overflow": "reject-publish"})
        broker.control("set_policy", "full", "^full$", full, "--apply-to", "queues")
        simulator = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(broker.port, "full", site.pki)
        configuration = {**plant.configuration(simulator.where), "cloud": cloud, "store": OFTEN}
        gateway = stack.enter_context(Gateway(folder / "full", configuration))
        gateway.start()

        def refused(now):
            """What forebay-cloud counts comes a little later than what core knows."""
            link = now["link"]
            return link["catalogue"] and link["rejected"] > link["catalogue"]["refusals"] > 1

        result.status = gateway.wait_for_status(refused, 30, "it is refused again, and batches are")
        broker.control("clear_policy", "full")
        consumer = stack.enter_context(Consumer(broker.port, "full", site.pki))
        result.after = gateway.wait_for_status(
            lambda now: now["link"]["accepted"] > 0 and now["link"]["catalogue"] is None, 60, "it is accepted"
        )
        wait_until(lambda: consumer.view().catalogues, 20, "it has arrived", every_s=0.2)
        wait_until(lambda: "catalogue-refused" in event_names(consumer), 20, "the event has arrived", every_s=0.2)
        result.told = refusals(gateway)
        gateway.stop()
        result.view = consumer.view()
    return result


def run_large(site, broker, folder):
    """The catalogue is larger than the broker takes, until that takes larger messages."""
    result = Outcome()
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(broker.port, "large", site.pki))
        page = {"port": free_port(), "certificate": site.pki / "page.pem", "key": site.pki / "page.key"}
        cloud = cloud_part(broker.port, "large", site.pki)
        configuration = {**large_plant(stack, folder), "cloud": cloud, "page": page}
        gateway = stack.enter_context(Gateway(folder / "large", configuration))
        gateway.start()
        result.status = gateway.wait_for_status(
            lambda now: now["link"]["catalogue"] and now["link"]["accepted"] > 3, 30, "batches go, the catalogue does not"
        )
        result.shown = gateway.command("status", "-c", gateway.file)
        wait_until(lambda: len(consumer.view().batches) > 3 and consumer.view().events, 20, "they arrive", every_s=0.2)
        result.catalogues_before = len(consumer.view().catalogues)
        browser = Browser(folder / "browser")
        stack.callback(browser.close)
        browser.open(f"https://localhost:{page['port']}/")
        browser.wait(lambda: PROBLEM in browser.text("#problem-list"), "the page says it")
        result.page = browser.text("#problem-list"), browser.text("#link")
        result.told = refusals(gateway)
        broker.stop()
        down = gateway.wait_for_status(lambda now: now["link"]["state"] != "up", 20, "the end is noticed")
        ended = down["link"]["accepted"]
        broker.configure("")
        broker.start()
        result.after = gateway.wait_for_status(
            lambda now: now["link"]["state"] == "up" and now["link"]["accepted"] > ended + 3, 60, "batches go again"
        )
        wait_until(lambda: consumer.view().catalogues, 20, "the catalogue arrives", every_s=0.2)
        browser.wait(lambda: "up" in browser.text("#link") and PROBLEM not in browser.text("#problem-list"), "it is over")
        gateway.stop()
        result.view = consumer.view()
    return result


def run(site):
    folder = site.folder("catalogue")
    settings = f"max_message_size = {SMALL_BYTES}\n"
    with Broker(folder / "broker", site.pki, ("full", "large"), settings=settings) as broker:
        return run_full(site, broker, folder / "one"), run_large(site, broker, folder / "two")


pytestmark = pytest.mark.scenario(run, turn=4)


def test_a_rejected_catalogue_is_told_and_counted(outcome):
    link = outcome[0].status["link"]
    reason = "rejected: the peer gave no reason; RabbitMQ does so when a queue behind /queues/full is full"
    assert link["catalogue"]["revision"] == 1 and link["catalogue"]["reason"].startswith(reason), link
    assert link["catalogue"]["since_ms"] > 0 and link["refusal"].startswith(reason), link
    assert link["rejected"] > link["catalogue"]["refusals"] and link["accepted"] == 0, link  # the batches besides
    assert [one["severity"] for one in outcome[0].told] == ["warning"], outcome[0].told


def test_a_rejected_catalogue_arrives_once_there_is_room(outcome):
    view = outcome[0].view
    view.check_chain()  # each batch's catalogue is there
    assert not view.wrong_properties and not view.losses()
    assert outcome[0].after["link"]["parked"]["batches"] == 0
    assert "catalogue-refused" in [event["event"] for event in view.events.values()]


def test_a_catalogue_too_large_for_the_broker_is_told_with_what_to_do(outcome):
    link = outcome[1].status["link"]
    reason = link["catalogue"]["reason"]
    assert reason.startswith("catalogue 1 is larger than the peer takes: ") and "max_message_size" in reason, reason
    assert f"it takes {link['parcel_bytes_most']};" in reason and reason == link["refusal"], link
    assert link["state"] == "up" and link["parked"]["batches"] == 0 and outcome[1].catalogues_before == 0
    assert f"names       readings arrive without their tags' names: {reason}" in outcome[1].shown
    problems, shown = outcome[1].page
    assert f"{PROBLEM}: {reason}" in problems and reason in shown
    assert [one["details"] for one in outcome[1].told] == [{"catalogue": 1, "reason": reason}]


def test_a_catalogue_too_large_arrives_once_the_broker_takes_it(outcome):
    assert outcome[1].after["link"]["catalogue"] is None
    view = outcome[1].view
    view.check_chain()
    assert not view.wrong_properties and not view.losses()
    (catalogue,) = view.catalogues.values()
    assert len(catalogue.tags) == INSTRUMENTS * TAGS_OF_EACH
