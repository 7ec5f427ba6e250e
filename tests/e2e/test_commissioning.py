"""`forebay probe` and `forebay scan`, with and without a running gateway."""

import json
import re
import signal
import subprocess
import time

import pytest
from common import program
from gateway import Gateway, yaml_text
from plants import rtu_part, tcp_part
from simulator import Simulator, block

TAGS = [{"name": "t", "address": 10, "type": "float32", "word_order": "cdab", "interval": "200ms"}]


def value_block(order):
    """A float that stays 7.4231 and is stored in the order, at 10 and 11."""
    return [block("holding", 10, "float32", "constant", order=order, value=7.4231)]


def site(folder):
    return Simulator(
        folder / "sim",
        {
            "seed": 1,
            "tcp": [{"name": "net", "units": [{"unit": unit, "blocks": value_block("cdab")} for unit in (7, 9)]}],
            "rtu": [
                {"name": "line", "link": str(folder / "tty"), "baud": 115200,
                 "units": [{"unit": 3, "blocks": value_block("badc")}]},
            ],
        },
    )  # fmt: skip


def configuration(simulator):
    return {
        "buses": [
            tcp_part("net", simulator.where["net"]),
            rtu_part("line", simulator.where["line"]),
            tcp_part("idle", simulator.where["net"], timeout="1s"),
        ],
        "instruments": [
            {"name": "one", "bus": "net", "unit": 7, "addresses": "base-0", "tags": TAGS},
            {"name": "two", "bus": "line", "unit": 3, "addresses": "base-0", "tags": TAGS},
        ],
    }


def check_probe(gateway, proof):
    """One off, wrong base: the display still finds it."""
    words = ("probe", "net", "7", "40012", "--addresses", "4xxxx", "-c", str(gateway.file), "--display", "7.42")
    shown = gateway.command(*words, "--proof", str(proof))
    assert "address 10 on the wire (40011 in a manual), one off, type float32, word_order cdab: 7.4231" in shown
    evidence = json.loads(proof.read_text(encoding="utf-8"))
    assert [(one["type"], one["word_order"], one["address"]) for one in evidence["explained_by"]] == [
        ("float32", "cdab", 10)
    ]
    assert evidence["sent"] and evidence["received"] and abs(evidence["time_ms"] / 1000 - time.time()) < 60
    shown = gateway.command("probe", "line", "3", "10", "-c", str(gateway.file), "--display", "7.423")
    assert "address 10 on the wire (40011 in a manual), type float32, word_order badc" in shown
    plain = gateway.command("probe", "line", "3", "10", "--count", "2", "-c", str(gateway.file))
    assert "float32" in plain and "7.4231" in plain
    assert re.search(r'high first +"[^"\n]{4}"\n +low first +"[^"\n]{4}"', plain)
    nothing = gateway.command("probe", "net", "7", "10", "-c", str(gateway.file), "--display", "3.3", code=1)
    assert "no type, order or neighbouring address explains it" in nothing
    refused = gateway.command("probe", "net", "7", "5000", "-c", str(gateway.file), code=1)
    assert "exception 2" in refused


def proofs(gateway, *words):
    return gateway.command("probe", "--proofs", *words, "-c", str(gateway.file))


def prove(gateway, tag, display, code=0):
    return gateway.command("probe", "--prove", tag, "--display", display, "-c", str(gateway.file), code=code)


def check_proofs(gateway, simulator):
    """What is proven stays proven over a restart, and only as long as the tag is read in the same way."""
    assert proofs(gateway) == "one/t: not proven\ntwo/t: not proven\n"
    shown = prove(gateway, "one/t", "7.42")
    assert "one/t reads 7.4231" in shown and "proven: the display shows 7.42" in shown
    assert "not proven" in prove(gateway, "one/t", "7.43", code=1)
    assert "not proven" in prove(gateway, "two/t", "7.42", code=1)  # its word order is not that of the instrument
    assert "there is no tag" in prove(gateway, "one/x", "7.42", code=1)
    assert "explains nothing" in prove(gateway, "one/t", "0", code=1)
    assert proofs(gateway).startswith("one/t: proven on 2") and "two/t: not proven" in proofs(gateway)
    shown = gateway.command("status", "-c", str(gateway.file))
    assert "1 of 1 tags proven" in shown and "0 of 1 tags proven" in shown
    whole = proofs(gateway, "one/t")
    assert whole.count("display 7.42, read 7.4231 (net unit 7 holding 10 float32 cdab, x 1e0 + 0e0)") == 1
    assert "sent     " in whole and "received " in whole
    value = gateway.call("values")["values"][0]
    assert abs(value["proven"]["time_ms"] / 1000 - time.time()) < 60 and value["proven"]["who"]
    assert [one["outcome"] for one in gateway.call("audit")["records"] if one["action"] == "prove"] == ["done"]
    with pytest.raises(AssertionError, match="in another way"):
        forged = {"value": 7.42, "meaning": "net unit 8", "sent": "00", "received": "00"}
        gateway.call("prove", instrument="one", name="t", display="7.42", **forged)
    gateway.stop()
    gateway.start()
    assert proofs(gateway).startswith("one/t: proven on 2")
    other = configuration(simulator)
    other["instruments"][0]["tags"] = [{**TAGS[0], "word_order": "abcd"}]
    gateway.write(yaml_text({"gateway": gateway.configuration["gateway"], **other}))
    gateway.reload()
    assert proofs(gateway).startswith("one/t: not proven")
    gateway.configure(configuration(simulator))
    gateway.reload()
    assert proofs(gateway).startswith("one/t: proven on 2")


def check_scan(gateway):
    words = ("scan", "idle", "--units", "6-9", "-c", str(gateway.file))
    found = gateway.command(*words)
    assert [line.split()[4] for line in found.splitlines()] == ["7", "9"]


def test_the_display_proves_type_order_and_address(tmp_path):
    with site(tmp_path) as simulator, Gateway(tmp_path / "gateway", configuration(simulator)).start() as gateway:
        check_probe(gateway, tmp_path / "proof.json")
        check_proofs(gateway, simulator)
        check_scan(gateway)
        busy = gateway.command("scan", "net", "-c", str(gateway.file), code=1)
        assert "is in use" in busy
        gateway.stop()
        check_probe(gateway, tmp_path / "proof.json")
        assert "is not running" in prove(gateway, "one/t", "7.42", code=1)
        check_scan(gateway)
        functions = {entry["function"] for entry in simulator.record()}
        assert functions == {3}


def test_a_scan_by_hand_ends_when_it_is_told_to(tmp_path):
    with site(tmp_path) as simulator:
        words = ["--host", "127.0.0.1", "--port", str(simulator.where["net"]), "--timeout", "2000"]
        done = subprocess.run([program("forebay"), "scan", *words, "--units", "7"], capture_output=True, text=True)
        assert done.returncode == 0 and "unit 7 answers" in done.stdout
        line = ["--device", simulator.where["line"], "--baud", "115200", "--parity", "none", "--timeout", "1000"]
        done = subprocess.run([program("forebay"), "scan", *line, "--units", "2-4"], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count("answers") == 1 and "unit 3 answers" in done.stdout
        running = subprocess.Popen([program("forebay"), "scan", *words], stderr=subprocess.PIPE, text=True)
        running.stderr.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(60) is not None
        assert "ended early" in running.stderr.read()
        running.stderr.close()
