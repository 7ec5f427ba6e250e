"""Instruments that are not ours: the servers of pymodbus, modbus-serial and jsmodbus over TCP, over TCP as raw serial
servers, and on serial ports, with mbpoll as a second master beside us."""

import contextlib
import json
import pathlib
import subprocess
import time

import pytest
from common import PYTHON, TESTS, wait_until
from gateway import Gateway
from plants import rtu_part, rtu_tcp_part, tcp_part
from wires import Wires

HERE = pathlib.Path(__file__).parent
DURATION_S, PATIENCE_S = 6, 20
REGISTERS = [(7 * i) & 0xFFFF for i in range(200)]  # as in third_party.py and third_party.js
NODE = ("modbus-serial", "jsmodbus")
# Units of each bus. Those in Node stand alone and so have all of the time-out: on a busy machine they are slow now and then.
UNITS = {
    "pymodbus-tcp": (1, 2), "pymodbus-server": (1, 2), "modbus-serial-tcp": (1,), "modbus-serial-rtu": (1,),
    "jsmodbus-tcp": (1,), "jsmodbus-rtu": (1,),
}  # fmt: skip
INSTRUMENTS = [f"{bus}-{unit}" for bus, units in UNITS.items() for unit in units]


@contextlib.contextmanager
def answering(log, *command):
    """Runs a server; the JSON that it prints first."""
    with open(log, "ab") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def tags():
    """Both register tables, scattered, both bit tables, and one address that nobody has, so near the last one that both are
    asked for at once."""
    places = [(table, i, "uint16") for table in ("holding", "input") for i in range(0, 180, 8)] + [("holding", 198, "uint16")]
    places += [(table, i, "bit") for table in ("coil", "discrete") for i in range(9)]
    entries = [{"name": f"{table}-{i}", "table": table, "address": i, "type": kind} for table, i, kind in places]
    return [*entries, {"name": "nobody", "table": "holding", "address": 205, "type": "uint16"}]


def start_servers(folder, stack):
    """The configuration's buses."""
    peers = subprocess.run([TESTS / "peers.sh", TESTS / "peers"], check=True, capture_output=True, text=True).stdout
    lines = stack.enter_context(Wires(*NODE)).ends
    python = stack.enter_context(answering(folder / "python.log", PYTHON, "-B", HERE / "third_party.py"))
    theirs = json.dumps({name: lines[name][0] for name in NODE})
    node = stack.enter_context(answering(folder / "node.log", "node", HERE / "third_party.js", peers.strip(), theirs))
    buses = [tcp_part("pymodbus-tcp", python["tcp"]), rtu_tcp_part("pymodbus-server", python["rtu"])]
    buses += [tcp_part(f"{name}-tcp", node[name]) for name in NODE]
    return buses + [rtu_part(f"{name}-rtu", lines[name][1]) for name in NODE]


def read_beside(ports, end):
    """mbpoll reads each server in turn until the end, each more than once however slow the machine is; how often each was
    read."""
    read = dict.fromkeys(ports, 0)
    while time.monotonic() < end or min(read.values()) < 2 and time.monotonic() < end + PATIENCE_S:
        for name, port in ports.items():
            words = ["mbpoll", "-m", "tcp", "-p", str(port), "-1", "-q", "-0", "-a", "1", "-t", "4", "-r", "0"]
            done = subprocess.run([*words, "-c", "10", "127.0.0.1"], capture_output=True, text=True, timeout=20)
            read[name] += done.returncode == 0 and "[9]: \t63" in done.stdout
    return read


def when_all_are_good(gateway):
    """The values, or None."""
    values = gateway.call("values")["values"]
    return values if all(one["quality"] == "good" for one in values if one["name"] != "nobody") else None


def run(site):
    folder = site.folder("third_parties")
    with contextlib.ExitStack() as stack:
        buses = start_servers(folder, stack)
        common = {"addresses": "base-0", "interval": "500ms", "tags": tags()}
        instruments = [
            {"name": f"{bus}-{unit}", "bus": bus, "unit": unit, **common}
            for bus, units in UNITS.items() for unit in units
        ]  # fmt: skip
        configuration = {"buses": buses, "instruments": instruments}
        gateway = stack.enter_context(Gateway(folder, configuration))
        gateway.start()
        ports = {bus["name"]: bus["port"] for bus in buses if bus["kind"] == "modbus-tcp"}
        read = read_beside(ports, time.monotonic() + DURATION_S)
        values = wait_until(lambda: when_all_are_good(gateway), 20, "what a server does not have is read around")
        outcome = values, {bus["name"]: bus for bus in gateway.status()["buses"]}, read
        gateway.stop()
        return outcome


pytestmark = pytest.mark.scenario(run, turn=3)


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_every_value_is_that_of_the_server(outcome, instrument):
    values = {one["name"]: one for one in outcome[0] if one["instrument"] == instrument}
    assert len(values) == len(tags())
    for tag in tags():
        got = values[tag["name"]]
        if tag["name"] == "nobody":
            # jsmodbus sends what it has, here nothing and with 198 two registers, where the others refuse.
            assert (got["quality"], got["reason"]) == ("bad", "bad reply" if "jsmodbus" in instrument else "exception")
            continue
        wanted = tag["address"] % 3 == 0 if tag["type"] == "bit" else REGISTERS[tag["address"]]
        assert (got["quality"], got["value"]) == ("good", wanted), got


@pytest.mark.parametrize("bus", UNITS)
def test_no_reply_was_missed_or_misread_beside_another_master(outcome, bus):
    _, buses, read = outcome
    errors = buses[bus]["errors"]
    assert read.get(bus, 2) > 1
    assert errors["timeout"] == errors["not connected"] == 0
    if "jsmodbus" in bus:
        assert errors["bad reply"] > 0 and errors["exception"] == 0  # for the address that it has not
    else:
        assert errors["bad reply"] == 0 and errors["exception"] > 0
