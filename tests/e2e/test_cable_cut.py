"""The cable to the broker is pulled: first nothing passes and nobody is told, then every connection breaks and none can
be made."""

import contextlib
import time

import pytest
from common import rounds
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from proxy import Proxy
from simulator import Simulator

TAGS = 200
IDLE_TIMEOUT_S = 5
CUT_S = 60


def pull(proxy, gateway, cut_s):
    """Nothing passes for a while: the gateway must find out by itself, and go on when it passes again."""
    proxy.stall()
    began = time.monotonic()
    status = gateway.wait_for_status(
        lambda now: now["link"]["state"] != "up", 3 * IDLE_TIMEOUT_S, "the gateway notices the silent link"
    )
    assert status["link"]["reason"], status["link"]
    time.sleep(max(0, began + cut_s - time.monotonic()))
    proxy.reset()
    proxy.mend()
    gateway.wait_for_link()


def break_off(proxy, gateway, cut_s):
    """Connections are reset and refused."""
    proxy.refuse()
    status = gateway.wait_for_status(
        lambda now: now["link"]["state"] == "waiting" and now["link"]["step"] == "tcp", 10, "the refusal is told"
    )
    assert "refused" in status["link"]["reason"].lower(), status["link"]
    time.sleep(cut_s)
    proxy.mend()
    gateway.wait_for_link()


def run(site):
    folder = site.folder("cable_cut")
    plant = SequencePlant(TAGS)
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "cable", site.pki))
        proxy = stack.enter_context(Proxy(site.broker.port))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(proxy.port, "cable", site.pki, idle_timeout=f"{IDLE_TIMEOUT_S}s")
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        since_s = time.time() + 1
        for _ in range(max(1, rounds(0) // 50)):
            time.sleep(4)
            pull(proxy, gateway, CUT_S)
            time.sleep(3)
            break_off(proxy, gateway, 2)
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        consumer.wait_for_gaps()
        (skipped,) = gateway.skipped().values()
        gateway.stop()
        found = compare(sim.record(), consumer.view().by_tag(), plant.tags, since_s, until_s)
        return found, consumer.view(), until_s - since_s - skipped


@pytest.mark.scenario(run, turn=1)
def test_nothing_is_lost(outcome):
    found, view, slots = outcome
    found.assert_equal(at_least=int(slots - 2) * TAGS)
    (store,) = view.stores()
    assert not view.missing_numbers(store)
    assert not view.losses()
    view.check_chain()
