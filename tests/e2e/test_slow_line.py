"""A line so slow that a batch takes longer than the time limit for answers: the link holds, batches arrive one after the
other, and live ones too, and replies to commands are waited for while they queue behind batches. A broker that stops is still
found, though its kernel goes on acknowledging.

The line is tc-htb(8) on the loopback of a network namespace, as packets of 1500 bytes, so that this kernel sees what a slow
line's acknowledgements look like. This file runs itself in there: test_slow_line.py FOLDER CERTIFICATES."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from broker import Broker, namespace
from commander import Commander, Key, claims
from common import wait_until
from gateway import Gateway, cloud_part
from processes import below, name_of
from test_delivery import fill, plant

# Towards the broker alone, or TCP's acknowledgements would wait behind what they are for. It holds all that TCP may send:
# after losses TCP itself may stand still for longer than ACK_TIMEOUT_S.
LINE = """tc qdisc add dev lo root handle 1: htb
tc class add dev lo parent 1: classid 1:1 htb rate 64kbit burst 3kb
tc qdisc add dev lo parent 1:1 pfifo limit 4000
tc filter add dev lo parent 1: protocol ip u32 match ip dport {port} 0xffff flowid 1:1"""
ACK_TIMEOUT_S = 5  # which a loaded machine's broker keeps
COMMANDS = 6
SECONDS = 60  # float32: batches of about 70 kB, twice as long each
NO_LINE = 3  # exit status: the kernel has no such line
LIMIT_S = 200


def ended(gateway):
    return [one for one in gateway.call("attempts", after=0, limit=1000)["records"] if one["what"] == "connection"]


def freeze(broker):
    """Its program answers nothing more; its kernel still takes bytes."""
    for pid in below(broker.process.pid):
        if name_of(pid).startswith("beam"):
            os.kill(pid, signal.SIGSTOP)


def over_the_line(folder, pki):
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", pki, ("slow", "commands", "replies")))
        key = Key("EdDSA")
        section = {
            "address": "/queues/commands", "replies": "/queues/replies", "allow": ["status"],
            "keys": [{"name": "works", "file": key.write_public(folder / "works.pem")}],
        }  # fmt: skip
        stored = fill(folder, SECONDS, "float32")
        # Nothing but ack_timeout shall find anything.
        cloud = cloud_part(broker.port, "slow", pki, commands=section, ack_timeout=f"{ACK_TIMEOUT_S}s", idle_timeout="5min")
        commander = Commander(broker.port, pki, "commands", "replies")
        commander.__enter__()  # never left: a frozen broker takes no goodbye
        gateway = stack.enter_context(Gateway(folder, {**plant(stack, folder), "cloud": cloud}))
        asked = [commander.send(key.sign(claims("slow_line", "status"))) for _ in range(COMMANDS)]
        if subprocess.run(["sh", "-ec", LINE.format(port=broker.port)]).returncode != 0:
            return None
        gateway.start().wait_for_link()
        status = gateway.wait_for_status(
            lambda now: now["link"]["accepted"] >= stored["batches"] + 3, 120, "the backlog and some live batches arrive"
        )
        replies = [commander.receive(120)[0] for _ in asked]  # refusals: the commands are older than the gateway's store
        before = ended(gateway)
        down = "commands-down" in (folder / "forebay.log").read_text(encoding="utf-8")
        freeze(broker)
        wait_until(lambda: len(ended(gateway)) > len(before), 60, "the frozen broker is left")
        after = ended(gateway)[len(before) :]
        gateway.kill_all()
        broker.kill()
    return {"status": status, "before": before, "after": after, "asked": asked, "replies": replies, "down": down}


def run(site):
    folder = site.folder("slow_line")
    words = [*namespace("--net"), sys.executable, __file__, folder, site.pki]
    with open(folder / "inside.log", "wb") as log:
        code = subprocess.run(words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, stdout=log, stderr=log,
                              timeout=LIMIT_S).returncode  # fmt: skip
    if code == NO_LINE:
        return None
    assert code == 0, (folder / "inside.log").read_text(encoding="utf-8")
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


pytestmark = pytest.mark.scenario(run, turn=2)


@pytest.fixture(name="found")
def found_over_the_line(outcome):
    if outcome is None:
        pytest.skip("this kernel has no tc-htb(8)")
    return outcome


def test_batches_arrive_over_one_connection_however_long_each_takes(found):
    assert not found["before"], found["before"]
    assert found["status"]["link"]["rejected"] == 0 and found["status"]["store"]["lost_readings"] == 0


def test_each_command_is_answered_once_over_one_session(found):
    assert sorted(found["replies"]) == found["asked"]
    assert not found["down"]


def test_a_broker_that_has_stopped_is_left_though_its_kernel_acknowledges(found):
    (end,) = found["after"]
    assert end["outcome"] == "broken", end
    assert f"left messages unanswered for {ACK_TIMEOUT_S} s" in end["reason"], end


def main():
    lines = (["link", "set", "lo", "up"], ["link", "set", "lo", "mtu", "1500", "gso_max_segs", "1"])
    if any(subprocess.run(["ip", *words]).returncode != 0 for words in lines):
        sys.exit(NO_LINE)
    folder, pki = map(pathlib.Path, sys.argv[1:])
    found = over_the_line(folder, pki)
    if found is None:
        sys.exit(NO_LINE)
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
