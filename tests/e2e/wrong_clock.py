"""A gateway whose UTC clock is what the test says (clock_shim.c)."""

import os
import struct
import subprocess
import time

from common import TESTS, program
from gateway import SANITIZED, Gateway


def preload(shim):
    """LD_PRELOAD with the shim; a sanitizer must stand in front of all others."""
    if not SANITIZED:
        return str(shim)
    found = subprocess.run(["cc", "-print-file-name=libasan.so"], check=True, stdout=subprocess.PIPE, text=True)
    return f"{found.stdout.strip()}:{shim}"


class WrongClock:
    """What the gateway's programs take for the time. certificates: OpenSSL, too; else certificates stay valid."""

    def __init__(self, folder, certificates=False):
        self.file, self.shim = folder / "clock", folder / "clock_shim.so"
        self.certificates = certificates
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-o", self.shim, TESTS / "e2e" / "clock_shim.c"], check=True
        )
        self.set(-round(time.time() * 1000), False)

    def set(self, ahead_ms, synchronised):
        if not self.file.exists():
            self.file.write_bytes(bytes(24))
        with open(self.file, "r+b", buffering=0) as file:
            file.write(struct.pack("=qqq", ahead_ms, synchronised, self.certificates))

    def environment(self):
        return {**os.environ, "LD_PRELOAD": preload(self.shim), "FOREBAY_TEST_CLOCK": str(self.file)}


class ClocklessGateway(Gateway):
    clock = None

    def launch(self):
        with open(self.folder / "forebay.log", "ab") as log:
            self.process = subprocess.Popen(
                [program("forebay"), "run", "-c", self.file], env=self.clock.environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self
