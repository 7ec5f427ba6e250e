"""Wrong configurations, wrong keys, malformed messages: refused with a clear line, and what runs goes on."""

import collections
import contextlib
import copy
import signal
import socket
import struct
import time

import pytest
from common import wait_until
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part, message, yaml_text
from plants import MixedPlant
from simulator import Simulator


@pytest.fixture(scope="module", name="plant")
def mixed_plant(site):
    return MixedPlant(site.folder("bad_input"))


@pytest.fixture(scope="module", name="sim")
def running_simulator(site, plant):
    with Simulator(site.folder("bad_input") / "sim", plant.description) as sim:
        yield sim


@pytest.fixture(scope="module", name="usual")
def usual_configuration(site, plant, sim):
    return {**plant.configuration(sim.where), "cloud": cloud_part(site.broker.port, "reload", site.pki)}


@pytest.fixture(scope="module", name="gateway")
def running_gateway(site, usual):
    with Gateway(site.folder("bad_input"), usual) as gateway:
        yield gateway.start()
        gateway.stop()


@pytest.fixture(scope="module", name="consumer")
def running_consumer(site):
    with Consumer(site.broker.port, "reload", site.pki) as consumer:
        yield consumer


WRONG_KEY_LINE = "  - {name: hall-9, kind: modbus-tcp, host: 127.0.0.1, prot: 502}\n"


def broken(usual):
    """A configuration with a wrong key; its text, line and column."""
    text = yaml_text({"gateway": {"name": "broken"}, **usual})
    text = text.replace("buses:\n", "buses:\n" + WRONG_KEY_LINE)
    line = text[: text.index("prot")].count("\n") + 1
    return text, line, WRONG_KEY_LINE.index("prot") + 1


def test_nothing_is_started_with_a_wrong_configuration(site, usual):
    with Gateway(site.folder("bad_input-broken"), usual) as gateway:
        text, line, column = broken(usual)
        gateway.write(text)
        told = gateway.command("check-config", str(gateway.file), code=1)
        assert f"{gateway.file}:{line}:{column}: " in told and "prot" in told and "port" in told, told
        gateway.launch()
        assert gateway.process.wait(20) != 0
        gateway.process = None
        log = (gateway.folder / "forebay.log").read_text(encoding="utf-8")
        assert f"{gateway.file}:{line}:{column}: " in log, log
        assert not (gateway.folder / "data").exists() and not list(gateway.run.iterdir())


def refusals(gateway):
    """How often a configuration was refused."""
    return [one["event"] for one in gateway.call("events")["records"]].count("configuration-refused")


def polls(sim, since_s):
    """How often since then everything that is asked for was asked for."""
    asked = collections.Counter((one["bus"], one["unit"], one["address"]) for one in sim.record() if one["t"] >= since_s)
    return min(asked.values(), default=0)


def test_a_broken_file_leaves_the_running_gateway_untouched(gateway, usual):
    before = gateway.wait_for_buses()  # until then workers are being started
    pids = gateway.pids()
    text, line, column = broken(usual)
    gateway.write(text)
    told = gateway.reload(code=1)
    assert f":{line}:{column}: " in told, told
    told = refusals(gateway)
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: refusals(gateway) > told, 20, "SIGHUP finds the file broken, too")
    after = gateway.status()
    assert f":{line}:{column}: " in after["gateway"]["configuration"]["error"]
    assert [bus["name"] for bus in after["buses"]] == [bus["name"] for bus in before["buses"]]
    assert gateway.pids() == pids
    gateway.configure(usual)
    gateway.reload()
    assert gateway.status()["gateway"]["configuration"]["error"] is None
    assert gateway.pids() == pids


def test_a_reload_restarts_only_what_changed_and_loses_nothing(gateway, consumer, plant, sim, usual):
    gateway.wait_for_link()
    since_s = time.time() - 2
    consumer.wait_for_readings(plant.tags, since_s)
    workers = set(gateway.pids()["forebay-field"])
    changed = copy.deepcopy(usual)
    tag = {"name": "one-more", "table": "input", "address": 100, "type": "uint16"}
    changed["instruments"][0]["tags"].append(tag)
    gateway.configure(changed)
    assert "hall-1" in gateway.reload()

    def replaced():
        now = set(gateway.pids()["forebay-field"])
        return now if now != workers and len(now) == len(workers) else None

    now = wait_until(replaced, 20, "the changed bus has a new worker")
    assert len(now & workers) == len(workers) - 1, "parent and the other buses' workers stay"
    changed_s = time.time()
    wait_until(lambda: polls(sim, changed_s) >= 3, 30, "everything is polled under the new configuration", every_s=0.5)
    gateway.configure(usual)
    gateway.process.send_signal(signal.SIGHUP)
    tags = len(usual["instruments"][0]["tags"])
    gateway.wait_for_status(lambda now: now["instruments"][0]["tags"] == tags, 20, "SIGHUP reloads, too")
    until_s = time.time()
    consumer.wait_for_readings(plant.tags, until_s)
    found = compare(sim.record(), consumer.view().by_tag(), plant.tags, since_s, until_s)
    found.assert_equal(at_least=4 * len(plant.tags))
    assert consumer.view().by_tag()[("a", "one-more")]


def test_a_store_with_another_key_is_set_aside(site, usual):
    alone = {key: part for key, part in usual.items() if key != "cloud"}
    with Gateway(site.folder("bad_input-key"), alone) as gateway:
        gateway.start()
        gateway.wait_for_status(lambda now: now["store"]["readings"] > 0, 10, "readings are stored")
        gateway.stop()
        data = gateway.folder / "data"
        (key,) = [path for path in data.iterdir() if path.stat().st_size == 65]
        database = max(data.iterdir(), key=lambda path: path.stat().st_size)
        content = database.read_bytes()
        key.write_text("5" * 64 + "\n", encoding="ascii")
        gateway.start()
        status = gateway.wait_for_status(lambda now: now["store"]["readings"] > 0, 10, "a new store takes readings")
        assert status["store"]["set_aside"]["reason"], status["store"]
        (aside,) = [path for path in data.iterdir() if ".unreadable-" in path.name and path.read_bytes() == content]
        assert status["store"]["set_aside"]["path"] == str(aside)
        gateway.stop()


def u64(number):
    return struct.pack("=Q", number)


MALFORMED = {
    "too short": b"\1\2",
    "another version": message(1, u64(1), version=9),
    "a wrong length": message(1, u64(1), length=4000),
    "an unknown type": message(250, b"x"),
    "cut in the middle": message(1, b"\1\2\3"),
    "something behind the end": message(1, u64(1) + b"\0"),
    "a reading that cannot be": message(2, u64(1) + bytes(24)),
    "JSON that is none": message(4, b"{"),
    "a request that is no JSON": message(128, b"\xff\xfe"),
    "too long": message(1, bytes(140 * 1024)),
}


def poke(path, packet):
    """Send one packet; True when core then closes the connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.settimeout(20)
        peer.connect(str(path))
        with contextlib.suppress(ConnectionError):
            peer.send(packet)
            while packet := peer.recv(140 * 1024):
                pass  # what core says first, such as its answer that the request is bad
        return True


@pytest.mark.parametrize("role", ["field", "cloud", "control"])
def test_a_malformed_message_costs_its_sender_the_connection_and_nobody_else(gateway, role):
    pids = gateway.pids()
    for packet in MALFORMED.values():
        assert poke(gateway.run / f"{role}.sock", packet)
    wait_until(gateway.ready, 10, "all programs are connected")
    assert gateway.pids() == pids, "a program ended"
    status = gateway.wait_for_status(lambda now: now["readings_per_s"] > 0, 10, "readings go on")
    dropped = {one["name"].removeprefix("forebay-"): one["dropped"] for one in status["programs"]}
    dropped["control"] = status["control"]["dropped"]
    assert dropped[role] >= len(MALFORMED) - 1, dropped


def test_garbage_at_the_page_socket_harms_nobody(gateway):
    pids = gateway.pids()
    for data in (b"\0" * 4096, b"99999999999:", b"3:abc,", b"5:a\0b\0c"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(10)
            peer.connect(str(gateway.run / "web.sock"))
            with contextlib.suppress(ConnectionError):
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass
    wait_until(gateway.ready, 10, "all programs are connected")
    assert gateway.pids() == pids, "a program ended"
