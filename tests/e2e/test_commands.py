"""Signed commands over the link, through RabbitMQ: each does what it says, each refusal is answered and audited."""

import contextlib
import json
import subprocess
import time

import pytest
from commander import HEADERS, Commander, Key, base64url, claims
from common import program, wait_until
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator

ALLOWED = ["status", "catalogue", "read-now", "backfill", "log-level", "configuration"]


class Plant:
    """A gateway that takes commands, and both ends of the broker."""

    def __init__(self, site, stack):
        self.folder = site.folder("commands")
        self.ed, self.ec, self.stranger = Key("EdDSA"), Key("ES256"), Key("EdDSA")
        keys = [
            {"name": "first", "file": self.ed.write_public(self.folder / "first.pem")},
            {"name": "second", "file": self.ec.write_public(self.folder / "second.pem")},
        ]
        plant = SequencePlant(3)
        self.tags = plant.tags
        sim = stack.enter_context(Simulator(self.folder / "sim", plant.description))
        self.section = {
            "address": "/queues/commands", "replies": "/queues/replies", "keys": keys, "allow": ALLOWED,
        }  # fmt: skip
        self.cloud = cloud_part(site.broker.port, "commanded", site.pki)
        self.rest = plant.configuration(sim.where)
        self.gateway = stack.enter_context(Gateway(self.folder / "gw", self.configuration()))
        self.consumer = stack.enter_context(Consumer(site.broker.port, "commanded", site.pki))
        self.commander = stack.enter_context(Commander(site.broker.port, site.pki, "commands", "replies"))
        self.gateway.start()
        self.wait_for_commands()

    def configuration(self, **changes):
        return {**self.rest, "cloud": {**self.cloud, "commands": {**self.section, **changes}}}

    def wait_for_commands(self):
        def met(status):
            return status["link"].get("commands", {}).get("state") == "up"

        return self.gateway.wait_for_status(met, 40, "the way back is up")

    def ask(self, command, arguments=None, /, key=None, **changes):
        payload = claims(self.gateway.configuration["gateway"]["name"], command, arguments, **changes)
        return self.commander.ask((key or self.ed).sign(payload))

    def last_audit(self):
        return self.gateway.call("audit")["records"][-1]


@pytest.fixture(scope="module", name="plant")
def plant_with_commands(site):
    with contextlib.ExitStack() as stack:
        plant = Plant(site, stack)
        yield plant
        plant.gateway.stop()


@pytest.mark.parametrize("which", ["ed", "ec"])
def test_status_comes_back_and_is_audited_under_the_keys_name(plant, which):
    reply = plant.ask("status", key=getattr(plant, which))
    assert reply["ok"] and reply["command"] == "status" and reply["result"]["gateway"]["name"] == "gw"
    audit = plant.last_audit()
    assert (audit["who"], audit["action"], audit["outcome"]) == (
        "cloud:first" if which == "ed" else "cloud:second", "command status", "done"
    )  # fmt: skip
    assert audit["details"]["nonce"] == reply["nonce"]


def test_the_catalogue_names_every_tag_in_pieces(plant):
    reply = plant.ask("catalogue", {"from": 1})
    assert [one["name"] for one in reply["result"]["tags"]] == ["r1", "r2"]
    assert reply["result"]["count"] == 3 and reply["result"]["next"] is None


def test_read_now_gives_the_newest_readings(plant):
    def known():
        return {one["name"]: one["value"] for one in plant.gateway.call("values")["values"]}

    wait_until(lambda: None not in known().values(), 10, "the first readings")
    before = known()
    values = plant.ask("read-now", {"instrument": "counters"})["result"]["values"]
    assert [one["name"] for one in values] == ["r0", "r1", "r2"]
    assert all(one["quality"] == "good" and 0 <= one["age_ms"] < 60_000 for one in values)
    # They count how often they were read.
    assert all(before[one["name"]] <= one["value"] <= now for one, now in zip(values, known().values())), (before, values)
    values = plant.ask("read-now", {"tags": ["counters/r1"]})["result"]["values"]
    assert [one["name"] for one in values] == ["r1"]
    reply = plant.ask("read-now", {"tags": ["counters/r9"]})
    assert (reply["refused"], reply["reason"]) == ("failed", "there is no tag counters/r9")


def test_backfill_sends_stored_batches_again_marked_historical(plant):
    def sent():
        return plant.consumer.view().batches and plant.gateway.status()["store"]["unsent_batches"] == 0

    wait_until(sent, 30, "some batches were sent")
    repeats, before_ms = plant.consumer.view().repeats, int(time.time() * 1000)
    reply = plant.ask("backfill", {"from_ms": before_ms - 3600_000, "to_ms": before_ms})
    assert reply["ok"], reply
    wait_until(lambda: plant.consumer.view().repeats > repeats, 20, "batches come again")
    again = [message for _, message in plant.consumer.inbox.messages if (message.properties or {}).get("historical")]
    assert again
    plant.gateway.wait_for_status(lambda status: not status["link"]["backfill"]["active"], 20, "the backfill ends")
    assert plant.gateway.status()["link"]["backfill"]["sent"] >= 1
    assert plant.ask("backfill", {"from_ms": 0, "to_ms": 40 * 86400_000})["refused"] == "failed"


def test_the_log_becomes_verbose_for_a_time(plant):
    log = plant.gateway.folder / "forebay.log"
    for part, event in (("core", "forebay-core: call"), ("cloud", "forebay-cloud: parcel-decided")):
        reply = plant.ask("log-level", {"program": part, "level": "debug", "minutes": 1})
        assert reply["ok"] and reply["result"]["until_ms"] > time.time() * 1000, reply

        def logged(event=event):
            plant.gateway.status()
            return event in log.read_text(encoding="utf-8")

        wait_until(logged, 20, f"{event} is logged")
        assert plant.ask("log-level", {"program": part, "level": "normal", "minutes": 1})["ok"]
    assert plant.ask("log-level", {"program": "sh", "level": "debug", "minutes": 1})["refused"] == "failed"


def test_a_proposed_configuration_is_kept_and_applied_by_a_person_only(plant):
    text = plant.gateway.file.read_text(encoding="utf-8")
    document = text + "# proposed\n"
    reply = plant.ask("configuration", {"document": document, "reason": "a remark"})
    assert reply["ok"], reply
    number = reply["result"]["number"]
    kept = plant.gateway.call("configuration", number=number)
    assert kept["document"] == document and kept["proposed"] and kept["author"] == "cloud:first"
    assert plant.gateway.file.read_text(encoding="utf-8") == text
    plant.gateway.command("config", "apply", str(number), "-c", str(plant.gateway.file))
    assert plant.gateway.file.read_text(encoding="utf-8") == document
    refused = plant.ask("configuration", {"document": "gateway: {nme: x}\n", "reason": "wrong"})
    assert refused["refused"] == "failed" and "document: 1:" in refused["reason"], refused


REFUSED = {
    "foreign": ({"gateway": "other"}, "foreign"),
    "late": ({"iat": 1_700_000_000, "exp": 1_700_000_300}, "late"),
    "early": ({"iat": 4_000_000_000, "exp": 4_000_000_300}, "early"),
    "too long a life": ({"iat": 1_700_000_000, "exp": 1_700_009_000}, "malformed"),
    "no nonce": ({"nonce": None}, "malformed"),
    "short nonce": ({"nonce": "AAAA"}, "malformed"),
    "unknown member": ({"shell": "/bin/sh"}, "malformed"),
    "arguments that are no object": ({"arguments": ["rm"]}, "malformed"),
    "unknown command": ({"command": "reboot"}, "not-permitted"),
    "unknown argument": ({"arguments": {"also": 1}}, "failed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_signed_but_wrong_is_refused_with_the_reason(plant, name):
    changes, word = REFUSED[name]
    reply = plant.ask("status", **changes)
    assert not reply["ok"] and reply["refused"] == word and reply["reason"], reply
    audit = plant.last_audit()
    assert (audit["who"], audit["outcome"]) == ("cloud:first", word)


def test_a_command_counts_once_even_after_kill_and_restart(plant):
    token = plant.ed.sign(claims("gw", "status"))
    assert plant.commander.ask(token)["ok"]
    assert plant.commander.ask(token)["refused"] == "replayed"
    assert plant.last_audit()["outcome"] == "replayed"
    plant.gateway.kill("forebay-core")
    plant.gateway.wait_for_status(lambda status: True, 20, "core is back")
    plant.wait_for_commands()
    assert plant.commander.ask(token)["refused"] == "replayed"
    plant.gateway.kill_all()
    plant.gateway.start()
    plant.wait_for_commands()
    assert plant.commander.ask(token)["refused"] == "replayed"
    assert plant.ask("status")["ok"]


def test_what_the_policy_does_not_list_is_refused_and_a_key_can_go(plant):
    plant.gateway.configure(plant.configuration(allow=["status"], keys=plant.section["keys"][:1]))
    plant.gateway.reload()
    try:
        assert plant.ask("status")["ok"]
        assert plant.ask("read-now", {"instrument": "counters"})["refused"] == "not-permitted"
        assert plant.ask("status", key=plant.ec)["refused"] == "unknown"
    finally:
        plant.gateway.configure(plant.configuration())
        plant.gateway.reload()
    plant.wait_for_commands()
    assert plant.ask("status", key=plant.ec)["ok"]


def unsigned_messages(plant):
    payload = claims("gw", "status")
    good = plant.ed.sign(payload)
    none = base64url(b'{"alg":"none"}') + b"." + base64url(payload) + b"."
    return [
        b"", b"garbage", none, plant.stranger.sign(payload), good[:-8], good + b".x",
        plant.ed.sign(payload, header=HEADERS["ES256"]), plant.ed.sign(payload, header=b'{"alg":"EdDSA"}'),
        good.replace(b".", b".A", 1), b"." * 60_000, b"x" * 65_536,
    ]  # fmt: skip


def test_what_no_known_key_has_signed_is_told_nothing_and_not_often(plant):
    records = plant.gateway.call("audit")["last"]
    messages = unsigned_messages(plant)
    for message in messages:
        plant.commander.send(message)
    # Each is answered, if at all, once it is audited.
    wait_until(lambda: len(plant.gateway.call("audit", after=records)["records"]) >= len(messages), 20, "all are audited")
    replies = plant.commander.replies_until_silence(2)
    assert 1 <= len(replies) < len(messages)
    assert all(reply == {"ok": False, "refused": "unknown"} for reply in replies)
    audits = plant.gateway.call("audit", after=records)["records"]
    assert len(audits) == len(messages)
    assert {(one["who"], one["outcome"]) for one in audits} == {("cloud:unknown", "unknown")}
    plant.commander.send("text in an AMQP value, not a data section", inferred=False)
    plant.commander.send(b"x" * 70_000)
    assert plant.ask("status")["ok"]


def test_the_commands_signer_agrees(plant):
    key = plant.ed.write_private(plant.folder / "first.key")
    words = ["command", "sign", "--key", key, "--gateway", "gw", "read-now", json.dumps({"tags": ["counters/r2"]})]
    token = subprocess.run([program("forebay"), *words], check=True, capture_output=True).stdout.strip()
    assert plant.commander.ask(token)["result"]["values"][0]["name"] == "r2"
    key = plant.ec.write_private(plant.folder / "second.key")
    words = ["command", "sign", "--key", key, "--gateway", "gw", "status"]
    token = subprocess.run([program("forebay"), *words], check=True, capture_output=True).stdout.strip()
    assert plant.commander.ask(token)["ok"]


def test_a_missing_queue_of_commands_leaves_the_readings_alone(plant):
    plant.gateway.configure(plant.configuration(address="/queues/nowhere"))
    plant.gateway.reload()
    try:
        status = plant.gateway.wait_for_status(
            lambda status: status["link"]["commands"]["state"] == "waiting", 40, "the refusal is told"
        )
        assert "not-found" in status["link"]["commands"]["reason"], status["link"]["commands"]
        plant.consumer.wait_for_readings(plant.tags, time.time())
        assert plant.gateway.status()["link"]["state"] == "up"
    finally:
        plant.gateway.configure(plant.configuration())
        plant.gateway.reload()
    plant.wait_for_commands()
