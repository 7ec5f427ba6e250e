"""Texts of instruments, from registers and from lines, to the page's values and into batches; and a sensor whose SDI-12
address is a letter."""

import json

from common import wait_until
from gateway import Gateway
from plants import TIMEOUT, tcp_part
from simulator import Simulator, block, lines


def registers_of(text, swapped=False):
    """Two characters a register."""
    data = text + b"\0" * (len(text) % 2)
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    return [int.from_bytes(pair, "little" if swapped else "big") for pair in pairs]


def text_blocks(address, text, swapped=False):
    words = registers_of(text, swapped)
    return [block("holding", address + i, "uint16", "constant", value=word) for i, word in enumerate(words)]


class Talkative(lines.Line):
    """READ 5 is answered with a number and what the instrument says of itself."""

    words = b"LAMP FAILURE 40 \xb0C"

    def answer(self, text):
        if "\r" not in text:
            return text
        self.send("V;7.5;" + self.words.decode("latin-1") + ";\r\n")
        return text.partition("\r")[2]


class Lettered(lines.Line):
    """An SDI-12 sensor with the address b."""

    def answer(self, text):
        if "!" not in text:
            return text
        command, _, rest = text.partition("!")
        self.asked.append(command)
        self.send({"bM": "b0001\r\n", "bD0": "b+3.5\r\n"}.get(command, ""))
        return rest


def configuration(where, talkative, lettered):
    text = {"type": "text", "length": 8}
    question = {"kind": "lines", "ask": "READ {unit}\\r", "separator": ";"}
    field = {"line": "V;", "field": 2, "type": "text"}
    return {
        "buses": [
            tcp_part("net", where["net"]),
            {"name": "line", "kind": "serial-tcp", "host": "127.0.0.1", "port": talkative.where, "timeout": TIMEOUT},
            {"name": "sdi", "kind": "serial-tcp", "host": "127.0.0.1", "port": lettered.where, "timeout": TIMEOUT},
        ],
        "instruments": [
            {"name": "plc", "bus": "net", "unit": 1, "addresses": "base-0", "interval": "200ms", "word_order": "abcd",
             "tags": [
                 {"name": "serial", "address": 0, **text},
                 {"name": "swapped", "address": 20, "word_order": "badc", **text},
                 {"name": "broken", "address": 40, **text},
                 {"name": "empty", "address": 60, **text},
                 {"name": "long", "address": 80, "type": "text", "length": 64},
                 {"name": "number", "address": 8, "type": "uint16"},
             ]},
            {"name": "lamp", "bus": "line", "unit": 5, "interval": "200ms", "protocol": question,
             "tags": [{"name": "state", **field}, {"name": "value", "line": "V;", "field": 1}]},
            {"name": "soil", "bus": "sdi", "unit": "b", "interval": "1s", "protocol": {"kind": "sdi12", "ask": "M"},
             "tags": [{"name": "moisture"}]},
        ],
    }  # fmt: skip


def description():
    blocks = [
        *text_blocks(0, b"SN 40\xc2\xb712\0\0\0\0\0\0"), block("holding", 8, "uint16", "constant", value=42),
        *text_blocks(20, b"20 \xb0C           ", swapped=True), *text_blocks(40, b"AB\x01CD           "),
        *text_blocks(60, b"\xff" * 16), *text_blocks(80, b"x" * 128),
    ]  # fmt: skip
    return {"seed": 1, "tcp": [{"name": "net", "units": [{"unit": 1, "blocks": blocks}]}]}


EXPECTED = {
    ("plc", "serial"): ("SN 40·12", "good", ""),
    ("plc", "swapped"): ("20 °C", "good", ""),
    ("plc", "broken"): (None, "bad", "bad reply"),
    ("plc", "empty"): (None, "bad", "no value"),
    ("plc", "long"): ("x" * 60 + "…", "good", ""),
    ("plc", "number"): (42, "good", ""),
    ("lamp", "state"): ("LAMP FAILURE 40 °C", "good", ""),
    ("lamp", "value"): (7.5, "good", ""),
    ("soil", "moisture"): (3.5, "good", ""),
}


def test_texts_arrive_whole_and_strange_bytes_never_do(tmp_path):
    talkative, lettered = Talkative(), Lettered()
    with Simulator(tmp_path / "sim", description()) as simulator:
        plant = configuration(simulator.where, talkative, lettered)
        with Gateway(tmp_path / "texts", plant).start() as gateway:

            def values():
                found = {(one["instrument"], one["name"]): one for one in gateway.call("values")["values"]}
                return {key: (one["value"], one["quality"], one["reason"]) for key, one in found.items()}

            wait_until(lambda: values() == EXPECTED, 20, "all texts and numbers are there")
            units = {one["name"]: one["unit"] for one in gateway.status()["instruments"]}
            assert units == {"plc": 1, "lamp": 5, "soil": "b"}
            gateway.call("seal")
            exported = [json.loads(line) for line in gateway.command("export", "-c", str(gateway.file)).splitlines()]
            seen = {(one["instrument"], one["name"]): one["value"] for one in exported if one["quality"] == "good"}
            assert {key: value[0] for key, value in EXPECTED.items() if value[1] == "good"} == seen
            gateway.stop()
    for line in (talkative, lettered):
        line.end()
    assert set(lettered.asked) == {"bM", "bD0"}
