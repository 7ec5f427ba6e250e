"""The preferred broker agrees to everything and takes no message, as RabbitMQ does that is short of memory: the link does
not swing between it and the spare, and goes back when it takes messages again."""

import contextlib

import pytest
from broker import Broker
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator

RETURN_AFTER_MS = 1000
OFTEN = {"commit_interval": "1s", "forward_interval": "1s", "forward_interval_offline": "1s"}


def run(site):
    folder = site.folder("vain_return")
    plant = SequencePlant(3)
    with contextlib.ExitStack() as stack:
        preferred = stack.enter_context(Broker(folder / "preferred", site.pki, ["vain"]))
        consumer = stack.enter_context(Consumer(site.broker.port, "vain", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(0, "vain", site.pki, ack_timeout="3s", return_after=f"{RETURN_AFTER_MS}ms")
        del cloud["host"], cloud["port"]
        cloud["endpoints"] = [{"host": "localhost", "port": port} for port in (preferred.port, site.broker.port)]
        preferred.control("set_vm_memory_high_watermark", "absolute", "1MB")
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud, "store": OFTEN}))

        def stays():
            return [
                one["duration_ms"] for one in gateway.call("attempts", after=0, limit=1000)["records"]
                if one["what"] == "connection" and one["endpoint"].endswith(f":{site.broker.port}")
            ]  # fmt: skip

        gateway.start()
        gateway.wait_for_status(lambda _: len(stays()) >= 3, 60, "three returns")
        found = stays()
        preferred.control("set_vm_memory_high_watermark", "0.6")
        before = gateway.status()["link"]["accepted"]
        with Consumer(preferred.port, "vain", site.pki) as other:
            back = gateway.wait_for_status(
                lambda now: now["link"]["endpoint"].endswith(f":{preferred.port}") and now["link"]["state"] == "up"
                and other.view().batches and now["link"]["accepted"] > before, 60, "the link is back, and works",
            )  # fmt: skip
        gateway.stop()
        return found, back, consumer.view()


pytestmark = pytest.mark.scenario(run, turn=2)


def test_each_return_in_vain_makes_the_next_wait_longer(outcome):
    stays = outcome[0]
    for times, stay_ms in enumerate(stays[:3]):
        assert stay_ms >= 0.75 * RETURN_AFTER_MS * 2**times, stays


def test_batches_go_to_the_spare_meanwhile_and_to_the_preferred_one_after_the_alarm(outcome):
    _, back, spare = outcome
    assert spare.batches and back["link"]["state"] == "up" and back["store"]["lost_readings"] == 0
