"""The store's key as systemd gives it, and where it must not be: in arguments, environments, the log, files of our own, or
what the kernel writes when forebay-core crashes."""

import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import time

import pytest
from common import wait_until
from gateway import SANITIZED, Gateway
from plants import SequencePlant
from simulator import Simulator

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f000112233445566778899aabbccddeeff"
# So that the kernel, and no sanitizer, ends what crashes.
BY_THE_KERNEL = {"ASAN_OPTIONS": "handle_segv=0"}
OFTEN = {"commit_interval": "200ms", "forward_interval_offline": "1s", "quota": "16MB"}


@contextlib.contextmanager
def core_dumps():
    before = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):  # not root
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


def has_key(data):
    return KEY.encode() in data.lower() or bytes.fromhex(KEY) in data


def has_ended(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def crash(pid, folder):
    """Ends the process by a signal that dumps core; whether there is a dump in its folder."""
    before = set(folder.glob("core*"))
    os.kill(pid, signal.SIGSEGV)
    wait_until(lambda: has_ended(pid), 10, "the process has ended")
    return bool(set(folder.glob("core*")) - before)


def can_dump(folder):
    """Whether an ordinary process leaves a core dump in its folder, here and now."""
    sleeper = subprocess.Popen(["sleep", "60"], cwd=folder)
    time.sleep(0.2)  # until it is sleep, and not Python any more
    sleeper.send_signal(signal.SIGSEGV)
    sleeper.wait()
    return any(folder.glob("core*"))


def environ_of(pid):
    """Nothing where nobody but root may look."""
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return b""


def folder_of(pid):
    try:
        return pathlib.Path(os.readlink(f"/proc/{pid}/cwd"))
    except PermissionError:  # the gateway's programs stay where they were started
        return pathlib.Path.cwd()


def run(site):
    folder = site.folder("store_secrets")
    plant = SequencePlant(4)
    credentials = site.folder("store_secrets_credentials")
    credentials.mkdir(parents=True, exist_ok=True)
    (credentials / "forebay-store-key").write_text(KEY + "\n")
    (folder / "dump").mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(core_dumps())
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        configuration = {**plant.configuration(sim.where), "store": OFTEN}
        environment = {"CREDENTIALS_DIRECTORY": str(credentials), **BY_THE_KERNEL}
        gateway = stack.enter_context(Gateway(folder, configuration, environment))
        gateway.start()
        gateway.wait_for_status(lambda now: now["store"]["batches"] >= 2, 30, "batches are sealed")
        seen = {}
        for program, pids in gateway.pids().items():
            seen[f"{program} cmdline"] = b"".join(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)
            seen[f"{program} environ"] = b"".join(environ_of(pid) for pid in pids)
        core = gateway.pids()["forebay-core"][0]
        where = folder_of(core)
        memory = pathlib.Path(f"/proc/{core}/status").read_text()
        dumped, possible = crash(core, where), can_dump(folder / "dump")
        gateway.stop()
        gateway.start()
        again = gateway.status()["store"]
        gateway.stop()
        files = {str(path): path.read_bytes() for path in gateway.folder.rglob("*") if path.is_file()}
    return seen, files, dumped, possible, again, memory


scenario = pytest.mark.scenario(run, turn=2)


@scenario
def test_the_credential_is_the_key_and_no_file_of_it_is_made(outcome):
    files, again = outcome[1], outcome[4]
    assert again["set_aside"] is None and again["batches"] >= 2
    assert not [name for name in files if name.endswith("store.key")]


@scenario
def test_the_key_is_in_no_argument_environment_log_or_file(outcome):
    seen, files = outcome[:2]
    assert any("forebay-core" in name for name in seen) and any(name.endswith(".log") for name in files)
    assert not [name for name, data in (*seen.items(), *files.items()) if has_key(data)]


@scenario
def test_a_crash_of_core_leaves_no_dump(outcome):
    dumped, possible = outcome[2:4]
    if not possible:
        pytest.skip("nothing leaves a core dump in its folder here")
    assert not dumped


@scenario
@pytest.mark.skipif(SANITIZED, reason="a sanitizer lets nobody lock memory")
def test_memory_that_holds_the_key_is_locked(outcome):
    (locked,) = [line.split() for line in outcome[5].splitlines() if line.startswith("VmLck:")]
    assert int(locked[1]) >= 4  # kB
