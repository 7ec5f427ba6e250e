"""Instruments that speak in lines of text: asked and by themselves, SDI-12, over TCP and a pseudo terminal, honest or
not. Each answer carries a number that was never sent before, so that a late one taken for another would show."""

import contextlib
import functools
import os
import pty
import select
import socket
import threading
import time
import tty

from common import wait_until
from gateway import Gateway


def nmea(body):
    return f"${body}*{functools.reduce(lambda a, b: a ^ b, body.encode()):02X}\r\n"


def sdi12_crc(text):
    crc = 0
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return text + "".join(chr(0x40 | part) for part in (crc >> 12, crc >> 6 & 63, crc & 63))


class Line(threading.Thread):
    """One instrument at the other end of a TCP serial server or a pseudo terminal. mode: what it does now."""

    def __init__(self, serial=False):
        super().__init__(daemon=True)
        self.mode = "good"
        self.count = 0
        self.asked = []
        self.ending = False
        self.server = self.ours = None
        if serial:
            self.ours, self.theirs = pty.openpty()
            tty.setraw(self.theirs)
            self.where = os.ttyname(self.theirs)
        else:
            self.server = socket.create_server(("127.0.0.1", 0))
            self.server.settimeout(0.1)
            self.where = self.server.getsockname()[1]
        self.start()

    def end(self):
        self.ending = True
        self.join(5)
        if self.server is not None:
            self.server.close()

    def send(self, text):
        os.write(self.ours, text.encode("latin-1"))

    def run(self):
        while not self.ending:
            if self.server is None:
                self.serve()
                return
            try:
                peer, _ = self.server.accept()
            except TimeoutError:
                continue
            with peer:
                self.ours = peer.fileno()
                with contextlib.suppress(OSError):
                    self.serve()

    def serve(self):
        text = ""
        while not self.ending:
            if self.mode == "gone":
                self.mode = "good"
                return
            ready, _, _ = select.select([self.ours], [], [], 0.02)
            if ready:
                got = os.read(self.ours, 100).decode("latin-1")
                if not got:
                    return
                text += got
            text = self.answer(text)


class Asked(Line):
    """READ 5 is answered with: V <count> 12.5"""

    def answer(self, text):
        if "\r" not in text:
            return text
        question, _, rest = text.partition("\r")
        self.asked.append(question)
        self.count += 1
        reply = f"V {self.count} 12.5\r\n"
        if self.mode == "late":
            time.sleep(0.35)
        if self.mode == "strange":
            reply = "V off 12.5\r\n"
        if self.mode == "other":
            reply = "ERROR 7\r\n"
        if self.mode == "endless":
            reply = "V 7 12.5 " * 60
        if self.mode != "silent":
            self.send(reply)
        return rest


class Speaking(Line):
    """A sentence of another talker and one of ours every 50 ms."""

    def answer(self, text):
        if self.mode != "still":
            self.count += 1
        ours = nmea(f"YXMTW,{self.count}.5,C")
        if self.mode == "wrong":
            ours = ours.replace(".5", ".6")
        if self.mode == "empty":
            ours = nmea("YXMTW,,C")
        if self.mode != "silent":
            self.send(nmea("GPZDA,160012.71,11,03,2004,-1,00") + ours)
        time.sleep(0.05)
        return ""


class Sensor(Line):
    """SDI-12 address 3: one second announced, ready sooner, three values in two answers with CRC."""

    def answer(self, text):
        if "!" not in text:
            return text
        command, _, rest = text.partition("!")
        self.asked.append(command)
        if self.mode == "silent":
            return rest
        if command == "3MC":
            self.count += 1
            self.send("30013\r\n")
            time.sleep(0.1)
            self.send("3\r\n")
        elif command == "3D0":
            good = sdi12_crc(f"3+{self.count}.25-7")
            self.send((good if self.mode == "good" else good.replace(".25", ".35")) + "\r\n")
        elif command == "3D1":
            self.send(sdi12_crc("3+0.5") + "\r\n")
        return rest


def configuration(lines):
    sdi12 = {"kind": "sdi12", "ask": "MC", "checksum": "sdi12"}
    return f"""
buses:
  - {{name: asked, kind: serial-tcp, host: 127.0.0.1, port: {lines["asked"].where}, timeout: 200ms}}
  - {{name: port, kind: serial, device: {lines["port"].where}, baud: 9600, timeout: 200ms}}
  - {{name: speaking, kind: serial-tcp, host: 127.0.0.1, port: {lines["speaking"].where}, timeout: 400ms}}
  - {{name: sensor, kind: serial-tcp, host: 127.0.0.1, port: {lines["sensor"].where}, timeout: 2s}}
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
        self.lines = {"asked": Asked(), "port": Asked(serial=True), "speaking": Speaking(), "sensor": Sensor()}
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
    number = f"{speaking.count}.5"
    wait_until(lambda: site.wait("speaking", "water-temperature", "good") == float(number), 15, "it stays")
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
            time.sleep(0.4)  # what was late is out; from now on only fresh answers
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
        speaking.mode = "good"
        fresh = speaking.count
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
