"""A real name server, dnsmasq: a name that moves to another address is followed, and a name server that answers nothing
while the gateway runs stands in the way of the link alone.

The scenario runs in namespaces of its own, where port 53 of loopback is free and /etc/resolv.conf names it: this file is the
program that is started in them."""

import contextlib
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest
from authority import issue
from broker import Broker, namespace, root
from common import PYTHON, Service, make_certificates, wait_until
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator

NAME, PORT = "broker.example", 15671
FIRST, SECOND = "127.0.0.2", "127.0.0.3"
CONNECT_TIMEOUT_MS = 3000
STUCK_S = 6
LIMIT_S = 240
# $1: the file that is /etc/resolv.conf there. A name server of the machine's own must not be asked beside it.
ENTER = 'ip link set lo up; mount --bind "$1" /etc/resolv.conf; mount -t proc proc /proc; shift; exec "$@"'


class NameServer(Service):
    """dnsmasq at 127.0.0.1; its answers may be kept for an hour, as far as it says."""

    def __init__(self, folder):
        self.hosts, self.log, self.process = folder / "hosts", folder / "dnsmasq.log", None

    def start(self):
        self.write(FIRST)
        words = ["/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--user=", "--group=",
                 "--no-resolv", "--local=/example/", "--no-hosts", f"--addn-hosts={self.hosts}", "--local-ttl=3600", "--listen-address=127.0.0.1",
                 "--bind-interfaces", "--log-facility=-", "--log-queries"]  # fmt: skip
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self.answers(FIRST), 10, "the name server answers")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(10)

    def write(self, address):
        self.hosts.write_text(f"{address} {NAME}\n", encoding="ascii")

    def answers(self, address):
        """Asked by the C library, not by ours."""
        assert self.process.poll() is None, f"dnsmasq ended; see {self.log}"
        with contextlib.suppress(OSError):
            return socket.gethostbyname(NAME) == address

    def move(self, address):
        self.write(address)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.answers(address), 10, "the name has moved")


def attempts(gateway):
    return gateway.call("attempts", after=0, limit=1000)["records"]


def up_at(gateway, address):
    def met(now):
        return now["link"]["state"] == "up" and now["link"]["peer"] == address

    return gateway.wait_for_status(met, 40, f"the link is up at {address}")


def stuck(gateway, names, broker):
    """The name server stops while the gateway polls, and the link breaks: what is told meanwhile, and how long it took."""
    before = sum(gateway.skipped().values())
    names.process.send_signal(signal.SIGSTOP)
    known = len(attempts(gateway))
    since_s = time.time()
    broker.control("close_all_connections", "for a test")

    def looking(now):
        return (now["link"]["state"], now["link"]["step"]) == ("connecting", "dns")

    gateway.wait_for_status(looking, 20, "the name is looked up")
    shown = gateway.command("status", "-c", str(gateway.file))
    failed = wait_until(
        lambda: [one for one in attempts(gateway)[known:] if one["step"] == "dns"], 30, "the failure is recorded"
    )
    time.sleep(max(0, since_s + STUCK_S - time.time()))
    gateway.wait_for_status(looking, 20, "and looked up again")
    until_s = time.time()
    names.process.send_signal(signal.SIGCONT)
    slots_skipped = sum(gateway.skipped().values()) - before
    return {"shown": shown, "failed": failed[0], "from": since_s, "until": until_s, "skipped": slots_skipped}


def inside(folder):
    """In the namespaces: the outcome, as JSON in the folder."""
    pki = make_certificates(folder / "pki")
    issue(pki, "server", "server", "localhost", f"DNS:localhost,DNS:{NAME}")
    plant = SequencePlant(10)
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(NameServer(folder))
        first, second = (
            stack.enter_context(Broker(folder / address, pki, ["readings"], settings=f"listeners.ssl.2 = {address}:{PORT}\n"))
            for address in (FIRST, SECOND)
        )
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(PORT, "readings", pki, host=NAME, connect_timeout=f"{CONNECT_TIMEOUT_MS}ms")
        gateway = stack.enter_context(Gateway(folder / "gw", {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start()
        accepted = up_at(gateway, FIRST)["link"]["accepted"]
        gateway.wait_for_status(lambda now: now["link"]["accepted"] > accepted, 20, "a batch is accepted")
        names.move(SECOND)
        before = gateway.status()["link"]
        first.kill()
        after = up_at(gateway, SECOND)["link"]
        found = {"moved": (before["peer"], after["peer"]), "stuck": stuck(gateway, names, second)}
        after = up_at(gateway, SECOND)["link"]
        gateway.wait_for_status(lambda now: now["link"]["accepted"] > after["accepted"], 20, "batches go again")
        found["attempts"] = attempts(gateway)
        gateway.stop()
        found["requests"] = [one["t"] for one in sim.record()]
    (folder / "outcome.json").write_text(json.dumps(found), encoding="utf-8")


def run(site):
    folder = site.folder("name_server")
    resolv = folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n", encoding="ascii")
    enter = [*namespace("--net", "--mount", "--pid", "--fork", "--kill-child"), "sh", "-ec", ENTER, "sh", resolv]
    tried = subprocess.run([*enter, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"cannot make a network of its own here: {tried.stderr.strip()}")
    root()  # made now if it is not there yet: in the namespaces there is no network
    with open(folder / "inside.log", "wb") as log:
        done = subprocess.run([*enter, PYTHON, "-B", __file__, folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                              timeout=LIMIT_S)  # fmt: skip
    assert done.returncode == 0, (folder / "inside.log").read_text(encoding="utf-8")
    return json.loads((folder / "outcome.json").read_text(encoding="utf-8"))


pytestmark = pytest.mark.scenario(run, turn=3)


def test_a_name_that_moved_is_followed(outcome):
    assert outcome["moved"] == [FIRST, SECOND]
    peers = [one["peer"] for one in outcome["attempts"] if one["outcome"] == "up"]
    assert peers[0] == FIRST and set(peers[1:]) == {SECOND}


def test_a_name_server_that_answers_nothing_ends_the_attempt_at_its_deadline(outcome):
    failed = outcome["stuck"]["failed"]
    assert (failed["what"], failed["outcome"], failed["step"]) == ("attempt", "failed", "dns"), failed
    assert failed["reason"] == f"the name servers gave no address for {NAME} in {CONNECT_TIMEOUT_MS} ms"
    assert CONNECT_TIMEOUT_MS <= failed["duration_ms"] < 2 * CONNECT_TIMEOUT_MS and failed["bytes_out"] == 0


def test_meanwhile_it_polls_and_answers(outcome):
    stuck_then = outcome["stuck"]
    assert "dns" in stuck_then["shown"], stuck_then["shown"]
    times = [one for one in outcome["requests"] if stuck_then["from"] <= one <= stuck_then["until"]]
    assert len(times) >= int(stuck_then["until"] - stuck_then["from"]) - 1 - stuck_then["skipped"], times


def test_it_mends_when_the_name_server_goes_on(outcome):
    last = [one for one in outcome["attempts"] if one["what"] == "attempt"][-1]
    assert (last["outcome"], last["peer"]) == ("up", SECOND), last


if __name__ == "__main__":
    inside(pathlib.Path(sys.argv[1]))
