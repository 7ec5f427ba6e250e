"""Disks of their own, for tests in which one fills up, loses its power or counts what is written to it. Tests on them are
skipped where nothing can be mounted."""

import contextlib
import os
import subprocess

import pytest

DISK_BYTES = 8 * 1024 * 1024
IMAGE_BYTES = 64 * 1024 * 1024


@contextlib.contextmanager
def mounted(folder, *words):
    """What mount makes of the words, in the folder."""
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", *words, folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a file system here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def small_disk(folder, size=DISK_BYTES):
    """A file system of so many bytes in the folder."""
    return mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "disk")


def fill(folder):
    with contextlib.suppress(OSError), open(folder / "other", "ab", buffering=0) as other:
        while True:
            other.write(bytes(4096))


def make_image(path, *options):
    """An ext4 file system in a file, to be mounted through a loop device."""
    if os.geteuid() != 0:
        pytest.skip("mounting an image needs root")
    with open(path, "wb") as image:
        image.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", *options, path], check=True)
