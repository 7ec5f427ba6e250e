"""The simulator against mbpoll, an independent Modbus client, so that the other tests may trust it."""

import re
import socket
import struct
import subprocess
import time

import pytest
from common import wait_until
from simulator import Simulator, block, values

BLOCKS = [
    block("holding", 0, "float32", "sine", count=10, order="cdab", base=20, swing=5, noise=0.1, step=0.5),
    block("holding", 100, "uint16", "sequence", count=25),
    block("input", 10, "int32", "constant", count=2, value=-123456, order="dcba"),
    block("discrete", 0, "bit", "blink", count=16, step=3600),
]


@pytest.fixture(scope="module", name="sim")
def running_simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sim")
    units = [{"unit": 1, "blocks": BLOCKS}, {"unit": 2, "blocks": BLOCKS}]
    flaky = {"unit": 3, "blocks": BLOCKS, "flaky": {"silence": 0.3, "exception": 0.3}}
    description = {
        "seed": 7,
        "tcp": [{"name": "hall", "units": [*units, flaky]}],
        "rtu": [{"name": "line", "link": str(folder / "tty"), "baud": 115200, "units": units}],
    }
    with Simulator(folder, description) as sim:
        yield sim


TABLES = {"coil": "0", "discrete": "1", "input": "3:hex", "holding": "4:hex"}


def poll(sim, bus, unit, table, address, count):
    """What mbpoll reads: a list of numbers, or its error line."""
    words = ["mbpoll", "-1", "-q", "-0", "-o", "10", "-a", str(unit), "-t", TABLES[table]]
    words += ["-r", str(address), "-c", str(count)]
    if bus == "hall":
        words += ["-m", "tcp", "-p", str(sim.where[bus]), "127.0.0.1"]
    else:
        words += ["-m", "rtu", "-b", "115200", "-P", "even", sim.where[bus]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        return done.stderr.strip()
    return [int(word, 0) for word in re.findall(r"^\[\d+\]:\s+(\S+)", done.stdout, re.MULTILINE)]


def poll_bytes(sim, bus, unit, table, address, count):
    registers = poll(sim, bus, unit, table, address, count)
    assert isinstance(registers, list), registers
    return struct.pack(f">{count}H", *registers)


@pytest.mark.parametrize("bus", ["hall", "line"])
def test_values_are_those_of_the_formulas(sim, bus):
    before = values.step_number(BLOCKS[0], time.time())
    got = poll_bytes(sim, bus, 1, "holding", 0, 20)
    after = values.step_number(BLOCKS[0], time.time())
    assert got in [values.content(BLOCKS[0], n, 7) for n in range(before, after + 1)]
    got = poll_bytes(sim, bus, 1, "input", 10, 4)
    assert [values.decode(got[i : i + 4], "int32", "dcba") for i in (0, 4)] == [-123456] * 2
    before = values.step_number(BLOCKS[3], time.time())
    got = poll(sim, bus, 2, "discrete", 1, 9)
    after = values.step_number(BLOCKS[3], time.time())
    assert got in [[(n + i) % 2 for i in range(1, 10)] for n in range(before, after + 1)]


@pytest.mark.parametrize("bus", ["hall", "line"])
def test_a_sequence_counts_replies_and_the_record_holds_them(sim, bus):
    first, second = (poll(sim, bus, 2, "holding", 100, 25) for _ in range(2))
    assert len(set(first)) == 1 and second == [first[0] + 1] * 25
    mine = [e for e in sim.record() if (e["bus"], e["unit"], e["address"]) == (bus, 2, 100)]
    assert [e["data"] for e in mine[-2:]] == [struct.pack(">25H", *one) for one in (first, second)]


def test_word_orders():
    data = bytes.fromhex("41424344")
    assert {order: values.reorder(data, order).hex() for order in ("abcd", "cdab", "badc", "dcba")} == {
        "abcd": "41424344", "cdab": "43444142", "badc": "42414443", "dcba": "44434241",
    }
    assert values.reorder(bytes(range(8)), "cdab") == bytes([6, 7, 4, 5, 2, 3, 0, 1])


def test_requests_outside_the_tables_are_exceptions(sim):
    assert "Illegal data address" in poll(sim, "hall", 1, "holding", 15, 10)
    assert "Target device failed to respond" in poll(sim, "hall", 9, "holding", 0, 20)
    before = sim.say("figures")["hall"]["other_functions"]
    assert raw_reply(sim, request="123400000006010600000002").hex() == "123400000003018601"
    assert sim.say("figures")["hall"]["other_functions"] == before + 1


SILENCE_S = 0.3


def raw_reply(sim, first_s=10, request="123400000006010300000002"):
    """What comes back for transaction 0x1234, unit 1, two holding registers, until SILENCE_S of silence. first_s: how long
    the first of it may take."""
    with socket.create_connection(("127.0.0.1", sim.where["hall"]), timeout=20) as connection:
        connection.sendall(bytes.fromhex(request))
        connection.settimeout(first_s)
        data = b""
        try:
            while chunk := connection.recv(512):
                data += chunk
                connection.settimeout(SILENCE_S)
            return "closed"
        except TimeoutError:
            return data


HONEST = bytes.fromhex("1234000000070103")

FAULTS = {
    "late 60000": lambda data: data == b"",
    "silent": lambda data: data == b"",
    "exception 4": lambda data: data.hex() == "123400000003018304",
    "wrong-transaction": lambda data: data.hex().startswith("1235") and len(data) == 13,
    "wrong-unit": lambda data: len(data) == 13 and data[6] == 2,
    "wrong-function": lambda data: len(data) == 13 and data[7] == 4,
    "short": lambda data: len(data) == 11 and data[5] == 5 and data[8] == 2,
    "long": lambda data: len(data) == 15 and data[5] == 9 and data[8] == 6,
    "cut": lambda data: len(data) == 6,
    "duplicate": lambda data: len(data) == 26 and data[:13] == data[13:],
    "garbage": lambda data: data and data[:8] != HONEST,
    "close": lambda data: data == "closed",
    "nan": lambda data: data == HONEST + bytes.fromhex("04ffffffff"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_spoils_as_many_requests_as_asked(sim, fault):
    handled = sim.say("figures")["hall"]["requests"]
    sim.say(f"fault hall 1 {fault} times 1")
    spoilt = raw_reply(sim, SILENCE_S if FAULTS[fault](b"") else 10)
    assert FAULTS[fault](spoilt), spoilt
    wait_until(lambda: sim.say("figures")["hall"]["requests"] > handled, 20, "the first is handled before the next comes")
    honest = raw_reply(sim)
    assert honest[:8] == HONEST and len(honest) == 13


def test_a_flaky_unit_is_sometimes_silent_sometimes_busy_and_sometimes_right(sim):
    outcomes = [raw_reply(sim, 0.05, "123400000006030300000002") for _ in range(30)]
    assert {len(one) for one in outcomes} == {0, len(bytes.fromhex("123400000003038306")), 13}


def test_frozen_values_stand_still(sim):
    sim.say("fault hall 1 freeze")
    first = poll(sim, "hall", 1, "holding", 0, 20)
    time.sleep(0.6)  # longer than the step of the block
    assert poll(sim, "hall", 1, "holding", 0, 20) == first
    sim.say("clear hall 1")
    assert poll(sim, "hall", 1, "holding", 0, 20) != first


def test_a_bad_crc_is_no_reply_and_down_is_unplugged(sim):
    sim.say("fault line 1 bad-crc times 1")
    assert "failed" in poll(sim, "line", 1, "holding", 0, 2)
    assert len(poll(sim, "line", 1, "holding", 0, 2)) == 2
    sim.say("down line")
    assert "No such file" in poll(sim, "line", 1, "holding", 0, 2)
    sim.say("up line")
    assert len(poll(sim, "line", 2, "holding", 0, 2)) == 2
    sim.say("down hall")
    with pytest.raises(ConnectionRefusedError):
        raw_reply(sim)
    sim.say("up hall")
    assert raw_reply(sim)
