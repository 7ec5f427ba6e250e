"""The hardest case: 1000 readings a second, the broker away for a minute, and in the middle of it every program of
Forebay killed and started again."""

import contextlib
import time

import pytest
from broker import Broker
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator

TAGS = 1000
OUTAGE_S, KILL_AFTER_S = 60, 30
COMMIT_INTERVAL_S = 1.0
SLACK_S = 0.25


def run(site):
    folder = site.folder("outage_and_kill")
    plant = SequencePlant(TAGS)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", site.pki, ["readings"]))
        consumer = stack.enter_context(Consumer(broker.port, "readings", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(broker.port, "readings", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        since_s = time.time() + 1
        time.sleep(6)
        broker.kill()
        down = time.monotonic()
        time.sleep(KILL_AFTER_S)
        slots_skipped = sum(gateway.skipped().values())
        killed_s = time.time()
        gateway.kill_all()
        gone_s = time.time()
        gateway.launch()
        started_s = time.time()
        time.sleep(max(0, down + OUTAGE_S - time.monotonic()))
        healed_s = time.time()
        broker.start()
        gateway.wait_for_link()
        time.sleep(3)
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        slots_skipped += sum(gateway.skipped().values())
        gateway.stop()
        record = sim.record()
    found = compare(record, consumer.view().by_tag(), plant.tags, since_s, until_s)
    back_s = min(entry["t"] for entry in record if entry["t"] > started_s)
    # From the kill until it polls again there are no slots.
    slots = until_s - since_s - slots_skipped - (back_s - killed_s)
    return found, consumer.view(), (killed_s, gone_s), (started_s, back_s, healed_s), slots


pytestmark = pytest.mark.scenario(run, turn=1)


def test_at_most_one_commit_interval_is_lost(outcome, record_property):
    found, view, killed, _, slots = outcome
    record_property("lost", len(found.missing))
    print(f"{len(found.missing)} of {found.matched + len(found.missing)} readings lost by the kill")
    found.assert_lost_only_near(killed, COMMIT_INTERVAL_S + SLACK_S, SLACK_S)
    assert found.matched > (slots - 4) * TAGS, str(found)


def test_the_rest_is_delivered_once_and_whole(outcome):
    _, view, *_ = outcome
    (store,) = view.stores()
    assert not view.missing_numbers(store)
    assert not view.losses()
    view.check_chain()


def test_polling_is_back_before_the_broker(outcome):
    started_s, back_s, healed_s = outcome[3]
    print(f"first request {1000 * (back_s - started_s):.0f} ms after `forebay run` was started")
    assert back_s < healed_s
