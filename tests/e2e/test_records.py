"""What a gateway keeps beside readings: who did what, what happened, which configurations were in force; through
restarts, kills, a change of the key, and a damaged store."""

import getpass
import itertools
import json
import subprocess
import time

import pytest
from broker import Broker
from common import program, wait_until
from gateway import Gateway, cloud_part
from key_holder import change_store
from plants import SequencePlant
from simulator import Simulator

TAGS = 10
COUNT = itertools.count()  # names have 63 bytes: a folder each, and short
FAST = {"commit_interval": "200ms", "forward_interval": "1s", "forward_interval_offline": "1s"}


def lines(gateway, kind, *words):
    told = gateway.command(kind, *words, "--json", "--run", str(gateway.run))
    return [json.loads(line) for line in told.splitlines()]


def events(gateway, *names):
    return [one for one in lines(gateway, "events") if one["event"] in names]


def verify(gateway, *words, code=0):
    done = subprocess.run([program("forebay"), "verify", "--audit", "--run", gateway.run, *words],
                          capture_output=True, text=True, timeout=30)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def plant():
    return SequencePlant(TAGS)


@pytest.fixture
def running(site, plant, request):
    folder = site.folder(f"records_{request.node.originalname[5:30]}_{next(COUNT)}")
    with Simulator(folder / "sim", plant.description) as sim:
        configuration = {**plant.configuration(sim.where), "store": FAST}
        with Gateway(folder, configuration) as gateway:
            gateway.configuration_of_sim = configuration
            yield gateway.start()


def test_a_reload_stands_in_the_audit_under_its_user(running):
    gateway = running
    gateway.command("reload", "-c", str(gateway.file), "--reason", "new pump: café")
    gateway.write(gateway.file.read_text() + "nonsense: {}\n")
    gateway.command("reload", "--run", str(gateway.run), code=1)
    done, refused = [one for one in lines(gateway, "audit") if one["action"] == "reload"]
    assert done["who"] == refused["who"] == getpass.getuser()
    assert done["outcome"] == "done" and done["details"] == {"reason": "new pump: café"}
    assert "nonsense" in refused["outcome"] and refused["number"] == done["number"] + 1
    assert abs(done["time_ms"] / 1000 - time.time()) < 60
    shown = gateway.command("audit", "--run", str(gateway.run), "--after", str(done["number"] - 1))
    assert shown.splitlines()[0].split()[3:6] == [getpass.getuser(), "reload", "done"]
    assert [one["event"] for one in events(gateway, "configuration-applied", "configuration-refused")] == [
        "configuration-applied", "configuration-refused",
    ]  # fmt: skip


def test_only_what_came_since_a_time_is_shown(running):
    gateway = running
    gateway.command("reload", "-c", str(gateway.file))
    known = lines(gateway, "events")
    assert known
    for time_before in ("1h", "2026-01-01", "1970-01-01T00:00:01Z"):
        assert lines(gateway, "events", "--since", time_before)[: len(known)] == known
    for time_behind in ("now", "2199-12-31T10:00"):
        assert not [one for one in lines(gateway, "events", "--since", time_behind) if one in known]


@pytest.mark.parametrize(
    "words, said",
    [
        (["--since", "yesterday"], "forebay: --since yesterday: a time is 2026-11-21, "),
        (["--after", "x"], "forebay: --after x: it is the number of a record, or 0\n"),
        (["--after", "-1"], "forebay: --after -1: it is the number of a record, or 0\n"),
        (["--sinced", "now"], "forebay: see forebay KIND --help\n"),
    ],
)
@pytest.mark.parametrize("kind", ["audit", "events", "attempts"])
def test_what_is_no_time_or_number_is_refused_with_what_is(kind, words, said):
    done = subprocess.run([program("forebay"), kind, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and done.stdout == "" and said.replace("KIND", kind) in done.stderr, done.stderr


def test_looking_for_long_is_one_entry(running):
    gateway = running
    wait_until(lambda: gateway.status()["store"]["last_number"] >= 3, 20, "batches are there")
    for _ in range(3):
        gateway.command("export", "--run", str(gateway.run), "--output", str(gateway.folder / "export"))
    looks = [one for one in lines(gateway, "audit") if one["action"] == "batch"]
    assert len(looks) == 1 and looks[0]["who"] == getpass.getuser()


def test_configurations_are_kept_with_author_reason_and_difference(running):
    gateway = running
    first = gateway.file.read_text()
    gateway.command("reload", "-c", str(gateway.file))  # the same once more is no revision
    gateway.configure({**gateway.configuration_of_sim, "store": {**FAST, "forward_interval": "7s"}})
    second = gateway.file.read_text()
    gateway.command("reload", "-c", str(gateway.file), "--reason", "slower")
    history = gateway.command("config", "history", "--run", str(gateway.run)).splitlines()
    assert len(history) == 2 and history[0].endswith("  start") and history[1].endswith(f"  {getpass.getuser()}: slower")
    assert gateway.command("config", "show", "1", "--run", str(gateway.run)) == first
    assert gateway.command("config", "show", "--run", str(gateway.run)) == second
    for words in ((), ("2",), ("1", "2")):
        done = subprocess.run([program("forebay"), "config", "diff", *words, "--run", gateway.run],
                              capture_output=True, text=True, timeout=30)  # fmt: skip
        changed = [line for line in done.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        assert done.returncode == 1 and len(changed) == 2 and "7s" in changed[1], done.stdout + done.stderr
    assert "there is no configuration 3" in gateway.command("config", "show", "3", "--run", str(gateway.run), code=1)
    gateway.stop()
    gateway.start()
    assert len(gateway.command("config", "history", "--run", str(gateway.run)).splitlines()) == 2


def test_starts_kills_and_silent_instruments_are_events(running):
    gateway = running
    gateway.wait_for_status(lambda status: status["buses"][0]["state"] == "good", 20, "the bus is good")
    gateway.kill("forebay-field")
    wait_until(lambda: len(events(gateway, "program-gone", "program-connected")) >= 3, 20, "the kill is told")
    gateway.stop()
    gateway.start()
    told = [one["event"] for one in lines(gateway, "events")]
    assert told[0] == "started" and told.count("stopped") == 1 and told.count("started") == 2
    numbers = [one["number"] for one in lines(gateway, "events")]
    assert numbers == list(range(1, len(numbers) + 1))
    started = events(gateway, "started")[0]
    assert started["severity"] == "info" and started["details"]["version"]


def test_a_silent_bus_and_its_return_are_events(site, plant):
    folder = site.folder("records_silent")
    with Simulator(folder / "sim", plant.description) as sim:
        configuration = {**plant.configuration(sim.where), "store": FAST}
        bus, unit = plant.description["tcp"][0]["name"], plant.description["tcp"][0]["units"][0]["unit"]
        with Gateway(folder, configuration).start() as gateway:
            gateway.wait_for_status(lambda status: status["buses"][0]["state"] == "good", 20, "the bus is good")
            sim.say(f"fault {bus} {unit} silent")
            wait_until(lambda: events(gateway, "bus-down"), 30, "the silence is told")
            sim.say(f"clear {bus} {unit}")
            wait_until(lambda: events(gateway, "bus-up") and events(gateway, "instrument-alive"), 60, "the return is told")
            assert len(events(gateway, "instrument-dead")) == len(events(gateway, "bus-down")) == 1
            gateway.stop()


def test_the_link_is_told_up_and_down_with_its_reason(site, plant):
    folder = site.folder("records_link")
    with Broker(folder / "broker", site.pki, ["readings"]) as broker, Simulator(folder / "sim", plant.description) as sim:
        configuration = {
            **plant.configuration(sim.where), "store": FAST, "cloud": cloud_part(broker.port, "readings", site.pki)
        }
        with Gateway(folder, configuration).start() as gateway:
            gateway.wait_for_link()
            broker.stop()
            wait_until(lambda: events(gateway, "link-down"), 30, "the end of the link is told")
            up, down = events(gateway, "link-up", "link-down")
            assert up["event"] == "link-up" and up["details"]["tls"].startswith("TLS")
            assert down["severity"] == "warning" and down["details"]["reason"]
            gateway.stop()


def test_the_chain_of_the_audit_holds_and_is_checked(running):
    gateway = running
    assert "there are no audit records yet" in verify(gateway)
    for number in range(3):
        gateway.command("reload", "-c", str(gateway.file), "--reason", str(number))
    said, head = verify(gateway).splitlines()
    assert "audit records 1 to 3" in said
    pinned = head.removeprefix("head ")
    gateway.command("reload", "-c", str(gateway.file))
    gateway.kill("forebay-core")
    wait_until(gateway.try_status, 20, "core is back")
    assert "1 to 4" in verify(gateway, "--head", pinned)
    wrong = pinned[:-1] + ("0" if pinned[-1] != "0" else "1")
    assert "record 3 is not the one" in verify(gateway, "--head", wrong, code=1)
    assert "record 9 is missing" in verify(gateway, "--head", f"audit/9/{pinned.split('/')[2]}", code=1)


def change(gateway, sql):
    gateway.stop()
    change_store(gateway.folder / "data", sql)
    gateway.start()


@pytest.mark.parametrize(
    "sql, finding",
    [
        ("UPDATE records SET body = replace(body, '\"2\"', '\"7\"') WHERE id = 1 << 56 | 3", "record 3 was altered"),
        ("DELETE FROM records WHERE id = 1 << 56 | 3", "record 3 is missing"),
        ("UPDATE records SET previous = zeroblob(32) WHERE id = 1 << 56 | 3", "record 2 or the one behind it was altered"),
        ("DELETE FROM records WHERE id = 1 << 56 | 5", "record 5 is missing"),
        ("UPDATE records SET time_ms = 1 WHERE id = 1 << 56 | 5", "record 5 was altered"),
    ],
)
def test_what_was_done_to_the_audit_is_named(running, sql, finding):
    gateway = running
    for number in range(5):
        gateway.command("reload", "-c", str(gateway.file), "--reason", str(number))
    verify(gateway)
    change(gateway, sql)
    assert finding in verify(gateway, code=1)


def test_records_follow_a_new_key_and_out_of_a_damaged_store(running):
    gateway = running
    gateway.command("reload", "-c", str(gateway.file), "--reason", "before")
    gateway.command("store", "rekey", "--run", str(gateway.run))
    wait_until(lambda: gateway.status()["store"]["upkeep"]["rekey"]["state"] == "done", 30, "the key is changed")
    rekeyed = verify(gateway).splitlines()
    wait_until(lambda: gateway.status()["store"]["last_number"] >= 1, 20, "a batch is there")
    gateway.stop()
    with open(gateway.folder / "data" / "store.db", "r+b") as store:  # the page of its state
        store.seek(4096 + 100)
        store.write(b"damage")
    gateway.start()
    assert gateway.status()["store"]["set_aside"]["inherited"]
    assert verify(gateway).splitlines() == rekeyed
    assert len(lines(gateway, "audit")) == 2 and events(gateway, "store-set-aside")[0]["severity"] == "alarm"
    assert len(gateway.command("config", "history", "--run", str(gateway.run)).splitlines()) == 1
    names = [one["event"] for one in events(gateway, "rekey-begun", "rekey-done")]
    assert names == ["rekey-begun", "rekey-done"]


def test_what_follows_comes_by_itself(running):
    gateway = running
    words = [program("forebay"), "events", "--follow", "--json", "--run", str(gateway.run)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert json.loads(following.stdout.readline())["event"] == "started"
            gateway.command("reload", "-c", str(gateway.file))
            while json.loads(following.stdout.readline())["event"] != "configuration-applied":
                pass
        finally:
            following.kill()
