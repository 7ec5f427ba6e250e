"""The broker is killed with SIGKILL in the middle of the stream and comes back with what it had on disk."""

import contextlib
import random
import time

import pytest
from broker import Broker
from common import rounds
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator

TAGS = 200


def run(site):
    folder = site.folder("broker_killed")
    plant = SequencePlant(TAGS)
    choice = random.Random(5)
    kills = max(2, rounds(2) // 10)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", site.pki, ["readings"]))
        consumer = stack.enter_context(Consumer(broker.port, "readings", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(broker.port, "readings", site.pki)
        store = {"commit_interval": "1s", "forward_interval": "1s"}
        configuration = {"store": store, **plant.configuration(sim.where), "cloud": cloud}
        gateway = stack.enter_context(Gateway(folder, configuration))
        gateway.start().wait_for_link()
        since_s = time.time() + 1
        for _ in range(kills):
            time.sleep(choice.uniform(3, 5))
            broker.kill()
            gateway.wait_for_status(lambda now: now["link"]["state"] != "up", 10, "the link is seen to be down")
            time.sleep(choice.uniform(1, 3))
            broker.start()
            gateway.wait_for_link()
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        consumer.wait_for_gaps()
        (skipped,) = gateway.skipped().values()
        gateway.stop()
        found = compare(sim.record(), consumer.view().by_tag(), plant.tags, since_s, until_s)
        return found, consumer.view(), until_s - since_s - skipped


@pytest.mark.scenario(run, turn=2)
def test_nothing_is_lost_and_every_gap_is_closed(outcome):
    found, view, slots = outcome
    found.assert_equal(at_least=int(slots - 2) * TAGS)
    (store,) = view.stores()
    assert not view.missing_numbers(store)
    assert not view.losses()
    view.check_chain()
