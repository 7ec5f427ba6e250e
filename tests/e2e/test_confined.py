"""forebay-core and forebay-cloud, made to try it, cannot start a shell: the kernel ends them."""

import os
import signal
import subprocess

import pytest
from common import TESTS, free_port, program, wait_until
from gateway import Gateway, cloud_part
from plants import SequencePlant

SIGSYS_STATUS = 128 + signal.SIGSYS


class TriedGateway(Gateway):
    shim = None

    def launch(self):
        with open(self.folder / "forebay.log", "ab") as log:
            self.process = subprocess.Popen(
                [program("forebay"), "run", "-c", self.file], env={**os.environ, "LD_PRELOAD": str(self.shim)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self


def connected(gateway, last_ms):
    """Since when forebay-cloud is connected, once all programs are, and it is not for the time of before: core may not have
    noticed yet that it has ended."""
    if not gateway.ready():
        return None
    (since_ms,) = [one["since_ms"] for one in gateway.status()["programs"] if one["name"] == "forebay-cloud"]
    return since_ms if since_ms != last_ms else None


@pytest.mark.skipif(os.environ.get("V") == "asan", reason="a sanitizer must be loaded first")
def test_a_program_that_tries_to_start_a_shell_is_ended(site):
    folder = site.folder("confined")
    shim = folder / "exec_shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, TESTS / "e2e" / "exec_shim.c"], check=True)
    plant = SequencePlant(1).configuration({"hall-1": free_port()})
    gateway = TriedGateway(folder, {**plant, "cloud": cloud_part(free_port(), "q", site.pki)})
    gateway.shim = shim
    log = folder / "forebay.log"
    with gateway:
        gateway.start()
        since_ms = 0
        for name in ("forebay-core", "forebay-cloud"):
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                since_ms = wait_until(lambda last=since_ms: connected(gateway, last), 20, "all programs run")
                before = log.read_text(encoding="utf-8").count(f"program={name} status={SIGSYS_STATUS}")
                os.kill(gateway.pids()[name][0], number)

                def ended(name=name, before=before):
                    return log.read_text(encoding="utf-8").count(f"program={name} status={SIGSYS_STATUS}") > before

                wait_until(ended, 20, f"{name} was ended by the kernel for {signal.Signals(number).name}")
        wait_until(lambda: connected(gateway, since_ms), 20, "all programs run again")
        gateway.stop()
