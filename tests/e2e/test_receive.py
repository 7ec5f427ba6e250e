"""`forebay receive`: its lines are the readings, each once, also when it is killed at any moment."""

import contextlib
import json
import random
import re
import signal
import struct
import subprocess
import time

import pytest
from common import free_port, program, wait_until
from compare import compare
from consumer import Consumer, Reading
from gateway import Gateway, cloud_part
from plants import MixedPlant, SequencePlant
from simulator import Simulator

KILLS = 5
SUMMARY = re.compile(
    r"received (\d+) readings in (\d+) batches from (\d+) gateways?, (\d+) missing, (\d+) lost, (\d+) repeated"
)


class Receiver:
    """`forebay receive` with a state folder and an NDJSON output that outlive it."""

    def __init__(self, folder, pki, *source, certificate):
        self.folder = folder
        self.output = folder / "readings.ndjson"
        self.words = [
            program("forebay"), "receive", *source, "--ca", pki / "ca.pem", "--certificate", pki / f"{certificate}.pem",
            "--key", pki / f"{certificate}.key", "--state", folder / "state", "--output", self.output,
        ]  # fmt: skip
        self.process = None

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "receive.log", "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)

    def kill_and_resume(self):
        self.process.kill()
        self.process.wait(5)
        self.__enter__()

    def stop(self):
        """End it in order; the counts of its summary line."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self.process = None
        text = (self.folder / "receive.log").read_text(encoding="utf-8")
        assert code == 0, text
        words = ("readings", "batches", "gateways", "missing", "lost", "repeated")
        return dict(zip(words, map(int, SUMMARY.findall(text)[-1])))

    def readings(self):
        """The lines that are complete."""
        if not self.output.exists():
            return []
        lines = self.output.read_text(encoding="utf-8").split("\n")[:-1]
        return [self.reading(json.loads(line)) for line in lines]

    @staticmethod
    def reading(line):
        return Reading(
            (line["instrument"], line["name"]), line["time_ms"], line["value"], line["quality"], line["reason"], 0,
            line["batch"],
        )  # fmt: skip

    def newest_s(self, tags):
        by_tag = self.by_tag()
        return min(by_tag[tag][-1].time_ms / 1000 if tag in by_tag else 0 for tag in tags)

    def by_tag(self):
        result = {}
        for one in self.readings():
            result.setdefault(one.tag, []).append(one)
        for readings in result.values():
            readings.sort(key=lambda one: one.time_ms)
        return result


def kill_at_random(receiver, seed):
    choice = random.Random(seed)
    for _ in range(KILLS):
        time.sleep(choice.uniform(0.5, 3))
        receiver.kill_and_resume()


def same_value(line, value):
    """A line may round a float32 to the shortest text that gives the same float32 again."""
    if isinstance(line, bool) or line is None or line == value:
        return line == value and isinstance(line, bool) == isinstance(value, bool)
    return struct.unpack("f", struct.pack("f", line))[0] == value


def key(one):
    return one.tag, one.time_ms, one.batch


def run_from_broker(site):
    """The gateway sends to an exchange with two queues: one for `forebay receive`, one for the independent consumer."""
    folder = site.folder("receive-from")
    plant = MixedPlant(folder)
    port = site.broker.port
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(port, "mirror", site.pki))
        source = ("--from", f"amqps://localhost:{port}/queues/receive")
        receiver = stack.enter_context(Receiver(folder / "receiver", site.pki, *source, certificate="consumer"))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = {**cloud_part(port, "", site.pki), "address": "/exchanges/copies"}
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        kill_at_random(receiver, "from")
        gateway.stop()
        # What was left in the store goes out, too, and nothing behind it.
        gateway.configure({**gateway.configuration, "store": {"commit_interval": "1s", "forward_interval": "1h"}})
        gateway.start()
        gateway.wait_for_link()
        gateway.call("seal")
        last = gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] == 0, 20, "all is sent")
        last = last["store"]["last_number"]
        gateway.stop()
        wait_until(lambda: last in {number for _, number in consumer.view().batches}, 20, "the consumer has all", 0.5)
        wanted = {n for _, n in consumer.view().batches}
        wait_until(lambda: {one.batch for one in receiver.readings()} >= wanted, 20, "forebay receive has all", 0.5)
        return receiver.stop(), receiver.readings(), consumer.view()


def run_listen(site):
    folder = site.folder("receive-listen")
    plant = SequencePlant(100)
    port = free_port()
    with contextlib.ExitStack() as stack:
        source = ("--listen", f"127.0.0.1:{port}")
        receiver = stack.enter_context(Receiver(folder / "receiver", site.pki, *source, certificate="receiver"))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(port, "any", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        since_s = time.time() + 1
        kill_at_random(receiver, "listen")
        until_s = time.time()
        wait_until(lambda: receiver.newest_s(plant.tags) > until_s, 30, "the last readings arrive", 0.5)
        gateway.stop()
        found = compare(sim.record(), receiver.by_tag(), plant.tags, since_s, until_s)
        return receiver.stop(), receiver.readings(), found


@pytest.mark.scenario(run_from_broker, turn=3)
def test_lines_from_a_broker_are_what_an_independent_consumer_sees(outcome):
    summary, lines, view = outcome
    expected = {key(one): one for one in view.readings()}
    got = {key(one): one for one in lines}
    assert len(got) == len(lines), "a line is repeated"
    assert got.keys() == expected.keys()
    for one, line in got.items():
        wanted = expected[one]
        assert (line.quality, line.reason) == (wanted.quality, wanted.reason), (line, wanted)
        assert same_value(line.value, wanted.value), (line, wanted)
    assert summary["readings"] == len(lines) and summary["batches"] == len(view.batches)
    assert (summary["gateways"], summary["missing"], summary["lost"]) == (1, 0, 0)


@pytest.mark.scenario(run_listen, turn=3)
def test_lines_of_a_listening_receiver_are_what_the_controllers_said(outcome):
    summary, lines, found = outcome
    found.assert_equal(at_least=300)
    assert len({(one.tag, one.time_ms) for one in lines}) == len(lines), "a line is repeated"
    assert (summary["gateways"], summary["missing"], summary["lost"]) == (1, 0, 0)
