"""The store's key as systemd gives it, and where it must not be: in arguments, environments, the log, files of our own,
memory that may be swapped, or what the kernel writes when forebay-core crashes."""

import contextlib
import os
import pathlib
import re
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
LOOKS, REKEYS = 20, 3
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
    return next(places_of_key(data, KEY), None) is not None


def places_of_key(data, digits):
    """Where its digits or its bytes begin."""
    for found in re.finditer(digits.encode(), data, re.IGNORECASE):
        yield found.start()
    for found in re.finditer(re.escape(bytes.fromhex(digits)), data):
        yield found.start()


def mappings(pid):
    """Begin, end, and whether it is locked."""
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line):
            begin, end = (int(word, 16) for word in found.groups())
        elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            begin = None  # cannot be read, by the process itself neither
        elif line.startswith("VmFlags:") and begin is not None:
            yield begin, end, "lo" in line.split()


def look_for_key(pid, digits):
    """The addresses at which the process has the key: in locked memory, and in other."""
    locked, loose = set(), set()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for begin, end, is_locked in mappings(pid):
            with contextlib.suppress(OSError, OverflowError):  # the kernel's own pages
                memory.seek(begin)
                places = places_of_key(memory.read(end - begin), digits)
                (locked if is_locked else loose).update(begin + at for at in places)
    return locked, loose


def keeps_key_at(pid, digits):
    """The same, without what is there only while a page is encrypted. None where nobody but root may look, and under
    AddressSanitizer, which lets nobody lock memory."""
    if SANITIZED:
        return None
    try:
        locked, loose = look_for_key(pid, digits)
        for _ in range(LOOKS):
            if not loose:
                break
            locked, again = look_for_key(pid, digits)
            loose &= again
    except PermissionError:
        return None
    return locked, loose


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
        kept_at = keeps_key_at(core, KEY)
        dumped, possible = crash(core, where), can_dump(folder / "dump")
        gateway.stop()
        gateway.start()
        again = gateway.status()["store"]
        gateway.stop()
        files = {str(path): path.read_bytes() for path in gateway.folder.rglob("*") if path.is_file()}
    return seen, files, dumped, possible, again, kept_at


scenario = pytest.mark.scenario(run, turn=2)


@scenario
def test_the_credential_is_the_key_and_no_file_of_it_is_made(outcome):
    files, again = outcome[1], outcome[4]
    assert again["set_aside"] is None and again["batches"] >= 2
    assert not [name for name in files if name.endswith("store.key")]


@scenario
def test_the_key_is_in_no_argument_environment_log_or_file(outcome):
    seen, files = outcome[:2]
    assert b"forebay-core" in seen["forebay-core cmdline"] and any(name.endswith(".log") for name in files)
    if os.geteuid() == 0:
        assert all(b"CREDENTIALS_DIRECTORY=" in data for name, data in seen.items() if name.endswith(" environ"))
    assert not [name for name, data in (*seen.items(), *files.items()) if has_key(data)]


@scenario
def test_a_crash_of_core_leaves_no_dump(outcome):
    dumped, possible = outcome[2:4]
    if not possible:
        pytest.skip("nothing leaves a core dump in its folder here")
    assert not dumped


@scenario
def test_core_keeps_the_key_in_locked_memory_and_nowhere_else(outcome):
    assert_locked(outcome[5])


def assert_locked(kept_at):
    if kept_at is None:
        pytest.skip("memory cannot be looked into here, or not be locked")
    locked, loose = kept_at
    assert locked, "SQLCipher keeps it somewhere"
    assert not loose, f"not locked: {[hex(at) for at in sorted(loose)]}"


def run_rekey(site):
    """Where core has its key after each change of it, when the one before it is gone."""
    folder = site.folder("store_secrets_rekey")
    plant = SequencePlant(4)
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "store": OFTEN}))
        gateway.start()
        core = gateway.pids()["forebay-core"][0]
        keys, kept_at = [(folder / "data" / "store.key").read_text().strip()], []
        for _ in range(REKEYS):
            gateway.command("store", "rekey", "-c", str(gateway.file))
            keys.append((folder / "data" / "store.key").read_text().strip())
            wait_until(lambda: keeps_key_at(core, keys[-2]) in (None, (set(), set())), 20, "the old key is gone")
            kept_at.append(keeps_key_at(core, keys[-1]))
        gateway.stop()
    return keys, kept_at


@pytest.mark.scenario(run_rekey, turn=2)
def test_after_each_change_of_the_key_the_new_one_is_locked_and_the_old_one_gone(outcome):
    keys, kept_at = outcome
    assert len(set(keys)) == REKEYS + 1
    for one in kept_at:
        assert_locked(one)
