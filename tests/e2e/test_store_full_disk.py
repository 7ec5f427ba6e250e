"""A disk that others fill up while the gateway polls at full rate: all readings are there once or named as lost, and it
goes on by itself when there is room again."""

import base64
import collections
import contextlib
import os
import subprocess
import sys
import time

import pytest
from common import TESTS, wait_until
from disks import DISK_BYTES, fill, small_disk
from gateway import Gateway
from plants import SequencePlant, instrument_part, tcp_part
from simulator import Simulator

sys.path.insert(0, str(TESTS / "decoder"))

import forebay_batch  # noqa: E402  of tests/decoder

TAGS = 400
REQUEST_READINGS = 125  # registers that one answer brings at most


def batches_of(gateway):
    """Every batch in the store, decoded."""
    batches, after = [], 0
    while True:
        answer = gateway.call("batch", after=after)
        if answer["number"] is None:
            return batches
        batches.append(forebay_batch.decode_batch(base64.b64decode(answer["bytes"])))
        after = answer["number"]


def run(site):
    folder = site.folder("store-full-disk")
    plant = SequencePlant(TAGS)
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(small_disk(folder / "data"))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        instrument = instrument_part("counters", "hall-1", 1, plant.instrument_tags, interval="100ms")
        configuration = {
            "store": {"commit_interval": "1s", "forward_interval_offline": "2s", "quota": "64MB"},
            "buses": [tcp_part("hall-1", sim.where["hall-1"])], "instruments": [instrument],
        }  # fmt: skip
        gateway = stack.enter_context(Gateway(folder, configuration))
        gateway.start()
        gateway.wait_for_status(lambda now: now["store"]["batches"] >= 2, 30, "batches are sealed")
        fill(data)
        gateway.wait_for_status(lambda now: now["store"]["state"] == "full", 60, "the disk is full")
        time.sleep(5)
        os.unlink(data / "other")
        gateway.wait_for_status(lambda now: now["store"]["state"] == "good", 30, "the store takes readings again")
        time.sleep(3)
        gateway.stop()
        gateway.start()
        for _ in range(2):  # what the first batch cost stands in the second
            before = gateway.status()["store"]["readings"]
            gateway.wait_for_status(lambda now, least=before + TAGS: now["store"]["readings"] >= least, 20, "readings to seal")
            gateway.call("seal")
        outcome = batches_of(gateway), gateway.status()["store"], gateway.command("verify", "-c", str(gateway.file))
        gateway.stop()
        return outcome


@pytest.mark.scenario(run, turn=4)
def test_each_reading_is_there_once_or_named_as_lost(outcome):
    batches, store, _ = outcome
    values = collections.defaultdict(list)
    lost = sum(loss.readings for batch in batches for loss in batch.losses)
    for batch in batches:
        for reading in batch.readings:
            if reading.value is not None:
                values[reading.tag].append(reading.value)
    assert len(values) == TAGS
    assert all(len(set(one)) == len(one) for one in values.values()), "a reading is there twice"
    missing = sum(max(one) - min(one) + 1 - len(one) for one in values.values())
    assert lost == store["lost_readings"]
    # The answer in flight when the gateway is told to stop may come when nobody listens any more.
    assert missing - lost in (0, REQUEST_READINGS, TAGS % REQUEST_READINGS), (missing, lost)


@pytest.mark.scenario(run, turn=4)
def test_the_chain_holds(outcome):
    assert "each is the one that the next was made behind" in outcome[2]


def run_tiny(site):
    """At first the disk has not even room for an empty store."""
    folder = site.folder("store-full-tiny")
    plant = SequencePlant(10)
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(small_disk(folder / "data", 64 * 1024))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        gateway = stack.enter_context(Gateway(folder, plant.configuration(sim.where)))
        gateway.launch()
        log = folder / "forebay.log"
        wait_until(lambda: "disk-full" in log.read_text(encoding="utf-8"), 20, "it says what is wrong")
        subprocess.run(["mount", "-o", f"remount,size={DISK_BYTES}", data], check=True)
        wait_until(gateway.ready, 20, "it goes on by itself")
        gateway.wait_for_status(lambda now: now["store"]["readings"] >= 20, 20, "readings are kept")
        state = gateway.status()["store"]["state"]
        gateway.stop()
        return state, log.read_text(encoding="utf-8")


@pytest.mark.scenario(run_tiny, turn=2)
def test_a_disk_without_room_for_a_store_is_said_once_and_waited_for(outcome):
    state, log = outcome
    assert state == "good"
    assert log.count("disk-full no room for the smallest store") == 1
