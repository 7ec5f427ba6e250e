"""`forebay write`: one value for one register that the configuration opens, by a grant, in the audit; and nothing else."""

import subprocess

from common import program, wait_until
from gateway import Gateway
from plants import rtu_part, tcp_part
from simulator import Simulator, block

WRITES = [
    {"name": "setpoint", "address": 10, "type": "float32", "min": -10, "max": 14},
    {"name": "speed", "address": 20, "type": "uint16", "min": 0, "max": 1500},
    {"name": "start", "table": "coil", "address": 5, "type": "bit"},
    {"name": "locked", "address": 21, "type": "uint16", "min": 0, "max": 9},
]
TAGS = [
    {"name": "setpoint", "address": 10, "type": "float32"},
    {"name": "speed", "address": 20, "type": "uint16"},
    {"name": "locked", "address": 21, "type": "uint16"},
    {"name": "start", "table": "coil", "address": 5, "type": "bit"},
]


def description(folder):
    blocks = [
        block("holding", 10, "float32", "constant", order="cdab", value=1.5),
        block("holding", 20, "uint16", "constant", count=2, value=3), block("coil", 5, "bit", "constant", value=0),
    ]  # fmt: skip
    units = [{"unit": 7, "blocks": blocks, "writable": [10, 11, 20, 5]}]
    line = {"name": "line", "link": str(folder / "tty"), "baud": 115200, "units": units}
    return {"seed": 1, "tcp": [{"name": "net", "units": units}], "rtu": [line]}


def configuration(where, opened):
    def instrument(name, bus):
        more = {"writes": WRITES} if opened else {}
        return {"name": name, "bus": bus, "unit": 7, "addresses": "base-0", "word_order": "cdab", "interval": "100ms",
                **more, "tags": TAGS}  # fmt: skip

    return {
        "buses": [tcp_part("net", where["net"]), rtu_part("line", where["line"])],
        "instruments": [instrument("pump", "net"), instrument("dosing", "line")],
    }


class Site:
    def __init__(self, gateway, simulator):
        self.gateway, self.simulator = gateway, simulator
        self.writes = 0  # that must have reached the instruments

    def write(self, instrument, name, value, reason="a test", code=0, sent=True):
        words = ["write", "-c", str(self.gateway.file), "--reason", reason, "--", instrument, name, str(value)]
        said = self.gateway.command(*words, code=code)
        self.writes += sent
        wait_until(lambda: self.seen() >= self.writes, 20, "the instrument has seen it")  # one that is silent when it can
        assert self.seen() == self.writes, said
        return said

    def seen(self):
        return sum(one["other_functions"] for one in self.simulator.say("figures").values())

    def value(self, instrument, name):
        return next(
            one["value"] for one in self.gateway.call("values")["values"]
            if (one["instrument"], one["name"]) == (instrument, name)
        )  # fmt: skip

    def wait(self, instrument, name, value):
        wait_until(lambda: self.value(instrument, name) == value, 20, f"{instrument} {name} is {value}")

    def audit(self):
        records = self.gateway.call("audit", after=0, limit=1000)["records"]
        return [one for one in records if one["action"] == "write"]


def check_writes(site):
    for instrument in ("pump", "dosing"):
        site.wait(instrument, "setpoint", 1.5)
        assert f"{instrument}: setpoint is 7.25" in site.write(instrument, "setpoint", 7.25, "new recipe")
        site.wait(instrument, "setpoint", 7.25)
        site.write(instrument, "setpoint", -3.5)
        site.wait(instrument, "setpoint", -3.5)
        site.write(instrument, "speed", 1200)
        site.wait(instrument, "speed", 1200)
        site.write(instrument, "start", 1)
        site.wait(instrument, "start", True)
        site.write(instrument, "start", 0)
        site.wait(instrument, "start", False)
    first, second = site.audit()[:2]
    assert [first["outcome"], second["outcome"]] == ["asked", "done"] and first["who"] == second["who"] != ""
    assert first["details"]["reason"] == "new recipe" and first["details"]["value"] == 7.25
    assert first["details"]["grant"] == second["details"]["grant"] and second["details"]["sent"]
    grants = [one["details"]["grant"] for one in site.audit()]
    assert len(set(grants)) == len(grants) / 2 == 10


def check_refusals(site):
    assert "allowed" in site.write("pump", "setpoint", 14.5, code=1, sent=False)
    assert "allowed" in site.write("pump", "speed", -1, code=1, sent=False)
    assert "no whole number" in site.write("pump", "speed", 1.5, code=1, sent=False)
    assert "opens no such register" in site.write("pump", "interval", 1, code=1, sent=False)
    assert "there is none" in site.write("tank", "speed", 1, code=1, sent=False)
    assert "reason: say why" in site.write("pump", "speed", 1, reason="", code=1, sent=False)
    refused = [one["outcome"] for one in site.audit()][-6:]
    assert all(outcome not in ("asked", "done") for outcome in refused)
    assert "exception 2" in site.write("pump", "locked", 1, code=1)
    assert site.audit()[-1]["outcome"] == "refused by the instrument: exception 2"


def check_silence(site):
    """It is sent once, whatever happens, and nobody claims to know."""
    for bus, instrument in (("net", "pump"), ("line", "dosing")):
        site.simulator.say(f"fault {bus} 7 silent")
        assert "may be done all the same" in site.write(instrument, "speed", 300, code=1)
        assert site.audit()[-1]["outcome"].startswith("not confirmed, may be done")
        site.simulator.say(f"clear {bus} 7")
        site.wait(instrument, "speed", 300)


def test_a_wrong_option_is_named_and_the_help_is_pointed_to():
    done = subprocess.run([program("forebay"), "write", "--raeson", "x"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and done.stdout == ""
    named, pointed = done.stderr.splitlines()
    assert "--raeson" in named and pointed == "forebay: see forebay write --help"


def test_only_what_is_open_is_written_once_and_audited(tmp_path):
    with Simulator(tmp_path / "sim", description(tmp_path)) as simulator:
        closed, opened = (configuration(simulator.where, opened) for opened in (False, True))
        with Gateway(tmp_path / "gateway", closed).start() as gateway:
            site = Site(gateway, simulator)
            site.wait("pump", "speed", 3)
            assert "opens no such register" in site.write("pump", "speed", 5, code=1, sent=False)
            gateway.configure(opened)
            gateway.reload()
            before = len(site.audit())
            assert before == 1
            shown = gateway.command("check-config", str(gateway.file))
            assert "instrument pump: may be written: setpoint (-10 to 14), speed (0 to 1500), start (0 to 1)" in shown
            site_audit = site.audit
            site.audit = lambda: site_audit()[before:]
            check_writes(site)
            check_refusals(site)
            check_silence(site)
            gateway.configure(closed)
            gateway.reload()
            assert "opens no such register" in site.write("pump", "speed", 5, code=1, sent=False)
            gateway.stop()
        assert site.seen() == site.writes == 13
