"""The field when its processes hang, when its serial ports come and go, and whether it is as busy as was said."""

import contextlib
import os
import re
import select
import signal
import statistics
import subprocess
import termios
import tty

from common import program, wait_until
from gateway import Gateway
from plants import instrument_part, rtu_part, sequence_blocks, sequence_tags, tcp_part
from simulator import Simulator, block

INTERVAL = "200ms"
STALE_LIMIT_S, LOST_LIMIT_S = 10, 15


def value(gateway, instrument, name="r0"):
    return next(
        one for one in gateway.call("values")["values"] if (one["instrument"], one["name"]) == (instrument, name)
    )


def wait_for(gateway, instrument, quality, reason="", limit_s=STALE_LIMIT_S):
    def met():
        one = value(gateway, instrument)
        return (one["quality"], one["reason"]) == (quality, reason)

    wait_until(met, limit_s, f"{instrument} is {quality} {reason}")


def instrument(name, bus, unit=1, interval=INTERVAL):
    return instrument_part(name, bus, unit, sequence_tags(bus, unit, 2), interval)


def worker_of(gateway, where):
    """The worker whose connection goes to that port of this machine."""
    ends = {}
    for line in open("/proc/net/tcp", encoding="ascii").readlines()[1:]:
        words = line.split()
        if int(words[2].split(":")[1], 16) == where:
            ends[f"socket:[{words[9]}]"] = True
    for pid in gateway.pids()["forebay-field"][1:]:
        with contextlib.suppress(FileNotFoundError):  # what is closed meanwhile
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") in ends:
                    return pid
    return None


def test_a_bus_that_is_seldom_asked_says_at_once_how_it_is(tmp_path):
    description = {"tcp": [{"name": "seldom", "units": [{"unit": 1, "blocks": sequence_blocks(2)}]}]}
    with Simulator(tmp_path / "sim", description) as sim:
        configuration = {
            "buses": [tcp_part("seldom", sim.where["seldom"])],
            "instruments": [instrument_part("one", "seldom", 1, sequence_tags("seldom", 1, 2), "1h")],
        }
        with Gateway(tmp_path / "gateway", configuration) as gateway:
            gateway.start()
            gateway.wait_for_status(lambda s: s["buses"][0]["state"] == "good", 60, "the bus is good before it is asked again")


def test_what_a_hung_process_does_not_refresh_turns_stale_and_then_bad(tmp_path):
    units = [{"unit": 1, "blocks": sequence_blocks(2)}]
    description = {"tcp": [{"name": name, "units": units} for name in ("first", "second")]}
    with Simulator(tmp_path / "sim", description) as sim:
        configuration = {
            "buses": [tcp_part(name, sim.where[name]) for name in ("first", "second")],
            # Seldom enough that a value is stale for some seconds before it is lost.
            "instruments": [instrument("one", "first", interval="500ms"), instrument("two", "second", interval="500ms")],
        }
        with Gateway(tmp_path / "gateway", configuration).start() as gateway:
            wait_for(gateway, "one", "good")
            wait_for(gateway, "two", "good")
            hung = wait_until(lambda: worker_of(gateway, sim.where["first"]), 10, "the worker is connected")
            os.kill(hung, signal.SIGSTOP)
            wait_for(gateway, "one", "uncertain", "stale")
            wait_for(gateway, "one", "bad", "not running", LOST_LIMIT_S)
            assert value(gateway, "one")["value"] is None
            wait_for(gateway, "two", "good")
            os.kill(hung, signal.SIGCONT)
            wait_for(gateway, "one", "good")
            parent = gateway.pids()["forebay-field"][0]
            os.kill(parent, signal.SIGSTOP)
            for name in ("one", "two"):
                wait_for(gateway, name, "uncertain", "stale")
            for name in ("one", "two"):
                wait_for(gateway, name, "bad", "not running", LOST_LIMIT_S)
            os.kill(parent, signal.SIGCONT)
            for name in ("one", "two"):
                wait_for(gateway, name, "good")
            gateway.stop()


BAUD, SCATTERED = 9600, 24


def scattered(folder):
    """A line at its own speed with one instrument whose registers stand too far apart to be read together."""
    blocks = [block("holding", 0, "uint16", "constant", count=40 * SCATTERED, value=7)]
    unit = {"unit": 1, "blocks": blocks}
    tags = [{"name": f"r{i}", "address": 40 * i, "type": "uint16", "interval": "1s"} for i in range(SCATTERED)]
    description = {"rtu": [{"name": "line", "link": str(folder / "tty"), "baud": BAUD, "units": [unit]}]}
    return description, {"name": "one", "bus": "line", "unit": 1, "addresses": "base-0", "tags": tags}


def gaps_ms(record):
    """From each request of a sweep to the next, for every sweep."""
    times = [one["t"] for one in record]
    begins = [i for i, one in enumerate(record) if one["address"] == 0]
    whole = [times[i : i + SCATTERED] for i in begins if i + SCATTERED <= len(times)]
    return [[1000 * (b - a) for a, b in zip(some, some[1:])] for some in whole]


def cycle_of(gaps):
    """How long a sweep takes that has them, to where the request behind the last would begin."""
    return sum(gaps) * SCATTERED / (SCATTERED - 1)


def loads_for(gateway, requests):
    """What the status says of the line's load until it has had so many requests; the first, half idle, is left out."""
    loads = []

    def met():
        bus = gateway.status()["buses"][0]
        if bus["requests"] > 3 * SCATTERED and bus["load_percent"] not in loads:
            loads.append(bus["load_percent"])
        return bus["requests"] >= requests

    wait_until(met, 60, "some cycles have passed", every_s=0.3)
    return loads


def test_a_line_is_as_busy_as_check_config_has_said(tmp_path):
    description, one = scattered(tmp_path)
    with Simulator(tmp_path / "sim", description) as sim:
        # An instrument that thinks for 5 ms, as is assumed of those that nobody has measured.
        sim.say("fault line 1 late 5")
        configuration = {"buses": [rtu_part("line", sim.where["line"], baud=BAUD)], "instruments": [one]}
        with Gateway(tmp_path / "gateway", configuration) as gateway:
            said = gateway.command("check-config", str(gateway.file))
            load, requests, cycle_ms = re.search(r"bus line: ([\d.]+) % busy, (\d+) requests a cycle of (\d+) ms", said).groups()
            assert int(requests) == SCATTERED
            gateway.start()
            loads = loads_for(gateway, 15 * SCATTERED)
            gateway.stop()
        sweeps = gaps_ms(sim.record())
    # The least of each: what else this machine does can only make a gap longer, and then the line really is busier.
    least = cycle_of([min(gaps) for gaps in zip(*sweeps)])
    assert abs(least / float(cycle_ms) - 1) < 0.10, (least, said)
    met = 100 * statistics.mean(map(cycle_of, sweeps)) / 1000
    # Nor must a while in which all stood still: the line is idle then.
    assert 0.90 * float(load) < max(loads) and min(loads) < 1.10 * max(float(load), met), (loads, met, said)


class Instrument:
    """Answers READ 5 behind a name that leads to its terminal, until it is pulled out."""

    def __init__(self, link):
        self.link = link

    def plug(self):
        self.ours, self.theirs = os.openpty()
        tty.setraw(self.theirs)
        self.link.symlink_to(os.ttyname(self.theirs))

    def pull(self):
        self.link.unlink()
        os.close(self.ours)
        os.close(self.theirs)

    def answer(self, text, limit_s=20):
        """Once it is asked; whether it was."""
        if not select.select([self.ours], [], [], limit_s)[0]:
            return False
        assert os.read(self.ours, 100).endswith(b"READ 5\r")
        os.write(self.ours, text)
        return True

    def settings(self):
        return termios.tcgetattr(self.theirs)


def line_configuration(link, **settings):
    bus = {"name": "line", "kind": "serial", "device": link, "baud": 4800, "timeout": "2s", "stop_bits": 2, **settings}
    return {
        "buses": [bus],
        "instruments": [{"name": "one", "bus": "line", "unit": 5, "profile": "generic-text", "interval": INTERVAL}],
    }


def wait_for_value(gateway, port, text):
    """Answer with the text until its first value has arrived."""
    assert port.answer(text), "nothing was asked"

    def met():
        port.answer(text, 0)
        return value(gateway, "one", "first")["value"] == float(text.split()[1])

    wait_until(met, 20, "the value is there")


def test_a_serial_port_is_opened_anew_under_its_name_with_its_settings(tmp_path):
    port = Instrument(tmp_path / "usb-0:1.2")
    port.plug()
    with Gateway(tmp_path / "gateway", line_configuration(port.link, parity="none")).start() as gateway:
        for value_sent in (b"V 1 2\r\n", b"V 3 4\r\n"):
            wait_for_value(gateway, port, value_sent)
            *_, control, _, input_speed, output_speed, _ = port.settings()
            assert input_speed == output_speed == termios.B4800
            assert control & termios.CSTOPB
            port.pull()
            down = gateway.wait_for_status(lambda now: now["buses"][0]["state"] == "down", 20, "it is missed")
            assert "No such file" in down["buses"][0]["reason"] or "gone" in down["buses"][0]["reason"]
            port.plug()
        wait_for_value(gateway, port, b"V 5 6\r\n")
        gateway.stop()
    port.pull()


def test_a_port_that_does_not_take_its_settings_is_not_read(tmp_path):
    """A pseudo terminal has no parity, as some adapters have none."""
    port = Instrument(tmp_path / "usb-0:1.2")
    port.plug()
    with Gateway(tmp_path / "gateway", line_configuration(port.link, parity="even")).start() as gateway:
        down = gateway.wait_for_status(lambda now: now["buses"][0]["state"] == "down", 20, "it is refused")
        assert "does not take th" in down["buses"][0]["reason"]
        gateway.stop()
    port.pull()


def test_a_trace_ends_when_its_file_is_full(tmp_path):
    wide = [block("holding", 200 * i, "uint16", "sequence", count=125) for i in range(20)]
    tags = [{"name": f"r{i}", "address": 200 * (i // 2) + i % 2 * 124, "type": "uint16"} for i in range(40)]
    with Simulator(tmp_path / "sim", {"tcp": [{"name": "net", "units": [{"unit": 1, "blocks": wide}]}]}) as sim:
        busy = {"name": "one", "bus": "net", "unit": 1, "addresses": "base-0", "interval": "100ms", "tags": tags}
        configuration = {"buses": [tcp_part("net", sim.where["net"])], "instruments": [busy]}
        with Gateway(tmp_path / "gateway", configuration).start() as gateway:
            wait_for(gateway, "one", "good")
            file = tmp_path / "net.pcapng"
            words = [program("forebay"), "trace", "net", "-o", file, "--minutes", "60", "--megabytes", "1"]
            done = subprocess.run([*words, "-c", gateway.file], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0 and "has the 1 MB that it may have (--megabytes)" in done.stderr, done.stderr
            assert 990_000 < file.stat().st_size <= 1_000_000
            gateway.stop()


def test_a_long_trace_can_be_ended(tmp_path):
    with Simulator(tmp_path / "sim", {"tcp": [{"name": "net", "units": [{"unit": 1, "blocks": sequence_blocks(2)}]}]}) as sim:
        configuration = {"buses": [tcp_part("net", sim.where["net"])], "instruments": [instrument("one", "net")]}
        with Gateway(tmp_path / "gateway", configuration).start() as gateway:
            wait_for(gateway, "one", "good")
            file = tmp_path / "net.pcapng"
            words = [program("forebay"), "trace", "net", "-o", file, "--minutes", "5", "-c", gateway.file]
            running = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
            wait_until(lambda: file.exists() and file.stat().st_size > 0, 10, "it has begun")
            size = file.stat().st_size
            wait_until(lambda: file.stat().st_size > size, 20, "new frames are added")
            assert "for 5 minutes" in running.stderr.readline()
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 0, "it ends long before its five minutes are over"
            assert re.search(r"\d+ frames", running.stderr.read())
            running.stderr.close()
            gateway.stop()
