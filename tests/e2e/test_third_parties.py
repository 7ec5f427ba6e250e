"""Instruments that are not ours: pymodbus's servers for both framings, with mbpoll as a second master beside us."""

import contextlib
import json
import pathlib
import subprocess
import time

import pytest
from common import PYTHON
from gateway import Gateway
from plants import rtu_tcp_part, tcp_part

DURATION_S = 6
REGISTERS = [(7 * i) & 0xFFFF for i in range(200)]  # as in third_party.py


@contextlib.contextmanager
def servers():
    """Ports by framing."""
    process = subprocess.Popen(
        [PYTHON, "-B", pathlib.Path(__file__).with_name("third_party.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def tags():
    """Both register tables, scattered, both bit tables, and one address that nobody has."""
    places = [(table, i, "uint16") for table in ("holding", "input") for i in range(0, 180, 8)]
    places += [(table, i, "bit") for table in ("coil", "discrete") for i in range(9)]
    entries = [{"name": f"{table}-{i}", "table": table, "address": i, "type": kind} for table, i, kind in places]
    return [*entries, {"name": "nobody", "table": "holding", "address": 205, "type": "uint16"}]


def run(site):
    with contextlib.ExitStack() as stack:
        ports = stack.enter_context(servers())
        buses = [tcp_part("tcp", ports["tcp"], "2s"), rtu_tcp_part("rtu", ports["rtu"], timeout="2s")]
        common = {"addresses": "base-0", "interval": "500ms", "tags": tags()}
        instruments = [{"name": f"{bus}-{unit}", "bus": bus, "unit": unit, **common} for bus in ports for unit in (1, 2)]
        configuration = {"buses": buses, "instruments": instruments}
        gateway = stack.enter_context(Gateway(site.folder("third_parties"), configuration))
        gateway.start()
        end = time.monotonic() + DURATION_S
        read = 0
        while time.monotonic() < end:
            words = ["mbpoll", "-m", "tcp", "-p", str(ports["tcp"]), "-1", "-q", "-0", "-a", "1", "-t", "4", "-r", "0"]
            done = subprocess.run([*words, "-c", "10", "127.0.0.1"], capture_output=True, text=True, timeout=20)
            read += done.returncode == 0
        outcome = gateway.call("values")["values"], gateway.status()["buses"], read
        gateway.stop()
        return outcome


pytestmark = pytest.mark.scenario(run, wave=3)


@pytest.mark.parametrize("instrument", ["tcp-1", "tcp-2", "rtu-1", "rtu-2"])
def test_every_value_is_that_of_the_server(outcome, instrument):
    values = {one["name"]: one for one in outcome[0] if one["instrument"] == instrument}
    assert len(values) == len(tags())
    for tag in tags():
        got = values[tag["name"]]
        if tag["name"] == "nobody":
            assert (got["quality"], got["reason"]) == ("bad", "exception")
            continue
        wanted = tag["address"] % 3 == 0 if tag["type"] == "bit" else REGISTERS[tag["address"]]
        assert (got["quality"], got["value"]) == ("good", wanted), got


def test_no_reply_was_missed_or_misread_beside_another_master(outcome):
    _, buses, read = outcome
    assert read > 3
    for bus in buses:
        assert bus["errors"]["timeout"] == bus["errors"]["bad reply"] == bus["errors"]["not connected"] == 0
