"""Power cuts under the store on a real file system: an ext4 image, of which the kernel forgets at a random moment all
that it has not written yet. What was committed is there once after the journal's replay.

The image is not copied while it is in use: a copy takes time, and would hold blocks of different moments, as no disk
does. Instead ext4 is told to shut down without writing its journal, which is the state of the disk at that moment."""

import contextlib
import fcntl
import os
import random
import struct
import subprocess
import time

import pytest
from common import program, rounds
from disks import make_image

CUTS = 10
SEED = 20261121
CUT_WITHIN_S = 0.15
LIMIT_S = 30
LINES_BYTES_MAX = 64 * 1024  # what a pipe holds

# <linux/ext4.h>: EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
SHUTDOWN = 0x8004587D
WITHOUT_LOG_FLUSH = struct.pack("=I", 2)

# In a mount namespace of its own; unmounted before the end, so that the next one reads the disk anew. The descriptor
# that brought the cut may be open a moment longer than the writer lives.
ON_THE_IMAGE = """mount -o loop "$0" "$1" || exit 125
point=$1; shift; "$@"; status=$?
for try in $(seq 100); do umount "$point" 2>/dev/null && exit $status; sleep 0.05; done
exit 124"""


class Image:
    """An ext4 image, to be mounted by the programs that work on it."""

    def __init__(self, folder):
        self.file, self.point = folder / "image", folder / "point"
        self.point.mkdir()
        make_image(self.file)

    def launch(self, *words):
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", ON_THE_IMAGE, self.file, self.point, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def cut(self, process):
        """What is not on the image by now never comes there."""
        point = os.open(f"/proc/{process.pid}/root{self.point}", os.O_RDONLY)
        try:
            fcntl.ioctl(point, SHUTDOWN, WITHOUT_LOG_FLUSH)
        finally:
            os.close(point)


@contextlib.contextmanager
def ended(process):
    """Nothing of it is left, whatever happened."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait(LIMIT_S)


def write_until_cut(image, after_s):
    """The last sequence that was told to be on disk before the cut. An fsync that goes on meanwhile may still return
    success, and be wrong: the kernel lives on, which no power cut lets it."""
    with ended(image.launch(program("tests/test_store_image"), "write", image.point)) as writer:
        lines = writer.stdout.fileno()
        told = os.read(lines, LINES_BYTES_MAX)
        assert told, writer.stderr.read()
        time.sleep(after_s)  # the moment of the cut, not time given to anything
        os.set_blocking(lines, False)
        with contextlib.suppress(BlockingIOError):
            told += os.read(lines, LINES_BYTES_MAX)
        image.cut(writer)
        said = writer.communicate(timeout=LIMIT_S)[1]
    assert writer.returncode not in (0, 124, 125), f"the writer did not notice the cut: {said}"
    return int(told.split()[-1])


def check(image, after, least):
    """The last sequence that is there; those up to it are marked as sent."""
    words = "check", image.point, str(after), str(least)
    with ended(image.launch(program("tests/test_store_image"), *words)) as checker:
        last, said = checker.communicate(timeout=LIMIT_S)
    return int(last or 0), said.decode() if checker.returncode else ""


def run(site):
    image = Image(site.folder("store-power-image"))
    with ended(image.launch("true")) as trial:
        said = trial.communicate(timeout=LIMIT_S)[1]
    if trial.returncode != 0:
        pytest.skip(f"cannot mount an image through a loop device here: {said.decode().strip()}")
    moments, last, faults = random.Random(SEED), 0, []
    for cut in range(rounds(CUTS)):
        promised = write_until_cut(image, moments.uniform(0, CUT_WITHIN_S))
        last, fault = check(image, last, promised)
        if fault:
            faults.append(f"cut {cut}: {fault}")
            break
    return last, faults


@pytest.mark.scenario(run, turn=4)
def test_what_was_committed_is_there_once_after_a_power_cut(outcome, record_property):
    last, faults = outcome
    record_property("readings", last)
    assert not faults
    assert last > 100 * rounds(CUTS), "the cuts came before anything was written"
