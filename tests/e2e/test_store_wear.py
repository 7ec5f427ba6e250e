"""What the status says of the bytes written is what the disk's own counter says, so that an operator can tell how long the
flash will last."""

import os
import re
import subprocess

import pytest
from disks import make_image, mounted
from gateway import Gateway
from simulator import Simulator
from test_store_losses import NoisyPlant

SECTOR_BYTES = 512
SECTORS_WRITTEN = 6  # of the block layer's statistics, in their order
ENOUGH_BYTES = 3 * 1024 * 1024
STORE = {"quota": "16MB", "commit_interval": "1s", "forward_interval_offline": "2s"}


def disk_of_its_own(folder):
    """Without a journal, and with blocks as large as pages: the less the file system writes for itself, the closer the figures."""
    image = folder.with_suffix(".image")
    make_image(image, "-b", "4096", "-O", "^has_journal", "-E", "lazy_itable_init=0")
    return mounted(folder, "-o", "loop", image)


def device_bytes(folder):
    """Bytes that were written to the device that the folder is on, since it was made."""
    subprocess.run(["sync", "-f", folder], check=True)
    device = os.stat(folder).st_dev
    with open(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat", encoding="ascii") as file:
        return int(file.read().split()[SECTORS_WRITTEN]) * SECTOR_BYTES


def look(gateway, data):
    """The device's bytes before the status told its own, those, and the device's afterwards."""
    return device_bytes(data), gateway.status()["store"]["written_bytes"], device_bytes(data)


def run(site):
    folder = site.folder("store_wear")
    plant = NoisyPlant(1000, "100ms")
    with disk_of_its_own(folder / "data") as data, Simulator(folder / "sim", plant.description) as sim:
        with Gateway(folder, {**plant.configuration(sim.where), "store": STORE}) as gateway:
            gateway.start()
            gateway.wait_for_status(lambda now: now["store"]["batches"] > 0, 60, "the tail was sealed once")
            first = look(gateway, data)
            enough = first[1] + ENOUGH_BYTES
            gateway.wait_for_status(lambda now: now["store"]["written_bytes"] >= enough, 120, "it writes")
            last = look(gateway, data)
            said = gateway.command("status", "-c", str(gateway.file))
            per_day = gateway.status()["store"]["written_bytes_per_day"]
            gateway.stop()
    return first, last, said, per_day


@pytest.mark.scenario(run, turn=2)
def test_the_bytes_written_are_those_of_the_disks_own_counter(outcome):
    first, last, said, per_day = outcome
    told = last[1] - first[1]
    assert told >= ENOUGH_BYTES
    # Each look takes a moment, in which writing goes on; and each commit, small on a busy machine, costs the file
    # system a block or two of its own.
    assert 0.75 * (last[0] - first[2]) <= told <= 1.02 * (last[2] - first[0]), (first, last)
    assert per_day is None  # it runs only a moment
    assert re.search(r"^ +\d+\.\d MB written since the start$", said, re.MULTILINE), said
