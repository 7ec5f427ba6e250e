"""Instruments that speak in lines of text: asked and by themselves, SDI-12, over TCP and a pseudo terminal, honest or
not. Each answer carries a number that was never sent before, so that a late one taken for another would show."""

import time

from common import wait_until
from gateway import Gateway
from simulator import lines


def configuration(served):
    return f"""
buses:
  - {{name: asked, kind: serial-tcp, host: 127.0.0.1, port: {served["asked"].where}, timeout: 500ms}}
  - {{name: port, kind: serial, device: {served["port"].where}, baud: 9600, timeout: 500ms}}
  - {{name: speaking, kind: serial-tcp, host: 127.0.0.1, port: {served["speaking"].where}, timeout: 400ms}}
  - {{name: sensor, kind: serial-tcp, host: 127.0.0.1, port: {served["sensor"].where}, timeout: 2s}}
instruments:
  - {{name: asked, bus: asked, unit: 5, profile: generic-text, interval: 300ms}}
  - {{name: port, bus: port, unit: 5, profile: generic-text, interval: 300ms}}
  - {{name: speaking, bus: speaking, profile: nmea-water-temperature, interval: 500ms}}
  - name: sensor
    bus: sensor
    unit: 3
    profile: generic-sdi12
    protocol: {{kind: sdi12, ask: MC, checksum: sdi12}}
    interval: 1s
    tags: [{{name: value-1}}, {{name: value-2, scale: 10}}, {{name: value-3}}]
"""


class Site:
    def __init__(self, folder):
        self.lines = {"asked": lines.Asked(), "port": lines.Asked(serial=True), "speaking": lines.Speaking(), "sensor": lines.Sensor()}
        self.gateway = Gateway(folder, {"buses": [], "instruments": []})
        own = f"gateway: {{name: lines, data: {folder}/data, run: {self.gateway.run}}}\n"
        self.gateway.write(own + configuration(self.lines))
        self.gateway.configuration = {}

    def values(self):
        return {(one["instrument"], one["name"]): one for one in self.gateway.call("values")["values"]}

    def wait(self, instrument, tag, quality, reason=""):
        """Wait for that quality; the value."""

        def met():
            one = self.values().get((instrument, tag))
            return one if one and (one["quality"], one["reason"]) == (quality, reason) else None

        return wait_until(met, 15, f"{instrument}.{tag} is {quality} {reason}", every_s=0.05)["value"]


def check_proofs(site):
    """A tag is proven by the lines that it was read in."""

    def prove(tag, display, code=0):
        words = ("probe", "--prove", tag, "--display", display, "-c", str(site.gateway.file))
        return site.gateway.command(*words, code=code)

    assert "port/second reads 12.5" in prove("port/second", "12.5")
    assert "port/second reads" not in prove("port/second", "12.6", code=1)
    assert "sensor/value-3 reads 0.5" in prove("sensor/value-3", "0.5")
    speaking = site.lines["speaking"]
    speaking.mode = "still"
    wait_until(lambda: site.wait("speaking", "water-temperature", "good") == speaking.count + 0.5, 15, "it stays")
    number = f"{speaking.count}.5"
    assert "proven: the display shows" in prove("speaking/water-temperature", number)
    speaking.mode = "good"
    proofs = {(one["instrument"], one["name"]): one for one in site.gateway.call("proofs")["records"]}
    port, sensor = proofs["port", "second"], proofs["sensor", "value-3"]
    assert bytes.fromhex(port["sent"]) == b"READ 5\r" and b" 12.5\r\n" in bytes.fromhex(port["received"])
    assert port["meaning"] == 'port unit 5 lines "READ {unit}\\r", line "V " field 2 "" none float64, x 1e0 + 0e0'
    assert bytes.fromhex(sensor["sent"]) == b"3MC!3D0!3D1!" and b"3+0.5" in bytes.fromhex(sensor["received"])
    spoken = proofs["speaking", "water-temperature"]
    assert spoken["sent"] == "" and b"YXMTW," in bytes.fromhex(spoken["received"])
    counts = {one["name"]: one["proven_tags"] for one in site.gateway.status()["instruments"]}
    assert counts == {"asked": 0, "port": 1, "speaking": 1, "sensor": 1}
    shown = site.gateway.command("status", "-c", str(site.gateway.file))
    assert "1 of 3 tags proven" in shown and ", answers in " in shown and "timeout: " in shown


def test_lines_become_readings_and_never_wrong_ones(tmp_path):
    site = Site(tmp_path / "lines")
    lines = site.lines
    with site.gateway.start():
        for name in ("asked", "port"):
            line = lines[name]
            assert 1 <= site.wait(name, "first", "good") <= line.count
            assert site.wait(name, "second", "good") == 12.5
            assert set(line.asked) == {"READ 5"}
            for mode, reason in (("silent", "timeout"), ("other", "bad reply"), ("endless", "bad reply")):
                line.mode = mode
                site.wait(name, "first", "bad", reason)
                line.mode = "good"
                site.wait(name, "first", "good")
            line.mode = "strange"
            site.wait(name, "first", "bad", "bad reply")
            assert site.wait(name, "second", "good") == 12.5
            line.mode = "late"
            site.wait(name, "first", "bad", "timeout")
            before = line.count
            line.mode = "good"
            time.sleep(0.9)  # what was late is out; from now on only fresh answers
            wait_until(lambda: line.count > before + 2, 15, "asked again")
            assert site.wait(name, "first", "good") > before
        lines["asked"].mode = "gone"
        before = lines["asked"].count
        wait_until(lambda: lines["asked"].count > before + 1, 15, "connected again")
        site.wait("asked", "first", "good")

        speaking = lines["speaking"]
        assert site.wait("speaking", "water-temperature", "good") % 1 == 0.5
        speaking.mode = "wrong"
        site.wait("speaking", "water-temperature", "bad", "bad reply")
        speaking.mode = "empty"
        site.wait("speaking", "water-temperature", "bad", "no value")
        speaking.mode = "silent"
        site.wait("speaking", "water-temperature", "bad", "timeout")
        fresh = speaking.count  # it goes on counting; only what is said from now on is larger
        speaking.mode = "good"
        assert site.wait("speaking", "water-temperature", "good") > fresh

        check_proofs(site)

        sensor = lines["sensor"]
        assert site.wait("sensor", "value-1", "good") % 1 == 0.25
        assert site.wait("sensor", "value-2", "good") == -70
        assert site.wait("sensor", "value-3", "good") == 0.5
        assert set(sensor.asked) <= {"3MC", "3D0", "3D1"}
        sensor.mode = "wrong"
        site.wait("sensor", "value-1", "bad", "bad reply")
        sensor.mode = "silent"
        site.wait("sensor", "value-3", "bad", "timeout")
        file = str(tmp_path / "asked.pcapng")
        site.gateway.command("trace", "asked", "-o", file, "-c", str(site.gateway.file))
        with open(file, "rb") as trace:
            assert b"READ 5\r" in trace.read()
        site.gateway.stop()
    for line in lines.values():
        line.end()
