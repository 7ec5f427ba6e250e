"""`forebay run` in the foreground: how it is ended, and what a reload says of what it cannot change."""

import signal
import socket

import pytest
from common import free_port
from gateway import Gateway
from plants import SequencePlant
from simulator import Simulator


@pytest.fixture(scope="module", name="usual")
def usual_configuration(site):
    plant = SequencePlant(3)
    with Simulator(site.folder("run") / "sim", plant.description) as sim:
        page = {"port": free_port(), "certificate": site.pki / "receiver.pem", "key": site.pki / "receiver.key"}
        yield {**plant.configuration(sim.where), "page": page}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_both_signals_end_everything_with_the_store_closed(site, usual, number):
    with Gateway(site.folder(f"run-{number}"), usual) as gateway:
        gateway.start()
        gateway.wait_for_status(lambda now: now["store"]["readings"] > 0, 10, "readings are stored")
        gateway.stop(number)
        assert "the store is closed" in (gateway.folder / "forebay.log").read_text(encoding="utf-8")
        left = {path.name for path in (gateway.folder / "data").iterdir()}
        assert "store.db" in left and not any(name.endswith(("-wal", "-shm")) for name in left), left


def test_a_reload_names_what_takes_effect_at_the_next_start(site, usual):
    with Gateway(site.folder("run-reload"), usual) as gateway:
        gateway.start()
        assert "nothing" in gateway.reload()
        gateway.configure({**usual, "page": {**usual["page"], "port": free_port()}})
        told = gateway.reload()
        assert "page (takes effect at the next start)" in told, told
        gateway.stop()


def test_a_watchdog_of_its_own_is_answered_by_nobody_else(site, usual):
    """As systemd starts it with WatchdogSec=: the programs below speak to `forebay run`, not for it."""
    where = site.folder("run-watched") / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as watchdog:
        watchdog.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        watchdog.settimeout(10)
        watchdog.bind(str(where))
        told = {"NOTIFY_SOCKET": str(where), "WATCHDOG_USEC": "1000000"}
        with Gateway(site.folder("run-watched"), usual, environment=told) as gateway:
            gateway.start()
            for _ in range(4):
                text, ancillary, _, _ = watchdog.recvmsg(64, socket.CMSG_SPACE(12))
                ((_, _, who),) = ancillary
                assert text == b"WATCHDOG=1"
                assert int.from_bytes(who[:4], "little") == gateway.process.pid
            names = {path.name for path in gateway.run.iterdir()}
            assert {"core.alive", "field.alive"} <= names, names
            gateway.stop()
            assert not [path.name for path in gateway.run.iterdir() if path.suffix == ".alive"]
