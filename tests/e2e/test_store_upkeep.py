"""The store's key changed, a damaged store salvaged, everything checked: on the running gateway, which loses nothing."""

import contextlib
import random
import re
import time

import pytest
from broker import Broker
from common import wait_until
from compare import EARLY_S, compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator

TAGS = 200
KILLS = 3
COMMIT_INTERVAL_S = 1.0
SLACK_S = 0.25
PAGE_BYTES = 4096
WITH_TAIL = {"commit_interval": "1s", "forward_interval": "1s", "forward_interval_offline": "4s"}
OFTEN = {"commit_interval": "1s", "forward_interval": "1s", "forward_interval_offline": "1s"}


def upkeep(gateway, job):
    return gateway.status()["store"]["upkeep"][job]


def damage(gateway):
    """A page of the file, and the notes of two cores that came upon it: what the log holds may hide the page from the next."""
    with open(gateway.folder / "data" / "store.db", "r+b") as store:
        store.seek(PAGE_BYTES + 100)
        store.write(b"damage")
    (gateway.folder / "data" / "store.db.failed").write_text("damaged: its state\ndamaged: its state\n")


def keys(gateway):
    return {path.name: path.read_text() for path in (gateway.folder / "data").glob("store.key*")}


def rekey_while_killed(gateway):
    """Before and after each kill of core; at the end the rekey is done all the same."""
    killed = []
    gateway.call("store-rekey")
    for _ in range(KILLS):
        time.sleep(random.uniform(0.0, 0.6))
        killed.append(time.time())
        gateway.kill("forebay-core")
        killed.append(time.time())  # it may have come later
        wait_until(gateway.try_status, 20, "core is back")
    wait_until(lambda: not (gateway.folder / "data" / "store.key.new").exists(), 30, "the rekey has ended")
    return killed


def run(site):
    folder = site.folder("store_upkeep")
    plant = SequencePlant(TAGS)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", site.pki, ["readings"]))
        consumer = stack.enter_context(Consumer(broker.port, "readings", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(broker.port, "readings", site.pki)
        configuration = {**plant.configuration(sim.where), "cloud": cloud, "store": OFTEN}
        gateway = stack.enter_context(Gateway(folder, configuration))
        gateway.start().wait_for_link()
        since_s = time.time() + 1
        time.sleep(5)
        before = keys(gateway)
        said = [gateway.command("store", "rekey", "-c", str(gateway.file))]
        after = keys(gateway)
        said.append(gateway.command("store", "check", "-c", str(gateway.file)))
        killed = rekey_while_killed(gateway)
        broker.kill()
        time.sleep(5)  # batches pile up
        head = gateway.command("verify", "-c", str(gateway.file)).split()[-1]
        killed.append(time.time())
        gateway.kill_all()
        killed.append(time.time())
        damage(gateway)
        gateway.start()
        set_aside = gateway.status()["store"]["set_aside"]
        salvage = wait_until(lambda: upkeep(gateway, "salvage")["state"] == "done" and upkeep(gateway, "salvage"), 30,
                             "the salvage has ended")  # fmt: skip
        said.append(gateway.command("verify", "-c", str(gateway.file)))
        said.append(gateway.command("verify", "-c", str(gateway.file), "--head", head))
        wrong = head[:-1] + ("0" if head[-1] != "0" else "1")
        gateway.command("verify", "-c", str(gateway.file), "--head", wrong, code=1)
        broker.start()
        gateway.wait_for_link()
        time.sleep(3)
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        gateway.stop()
        record = sim.record()
        log = (gateway.folder / "forebay.log").read_text(errors="replace")
    found = compare(record, consumer.view().by_tag(), plant.tags, since_s, until_s)
    return found, consumer.view(), killed, said, (before, after, keys(gateway)), set_aside, salvage, log


in_use = pytest.mark.scenario(run, turn=1)


@in_use
def test_the_key_is_another_and_the_only_one(outcome):
    said, (before, after, last) = outcome[3], outcome[4]
    assert "new key" in said[0]
    assert list(after) == ["store.key"] and list(last) == ["store.key"]
    assert len({before["store.key"], after["store.key"], last["store.key"]}) == 3


@in_use
def test_no_key_is_in_the_log(outcome):
    keys_seen, log = outcome[4], outcome[7]
    for held in keys_seen:
        assert held["store.key"].strip() not in log
    assert not re.search(r"\b[0-9a-f]{64}\b", log)


@in_use
def test_the_check_finds_nothing_wrong(outcome):
    assert re.fullmatch(r"[1-9]\d* batches checked, 0 unreadable\n", outcome[3][1]), outcome[3][1]


@in_use
def test_a_damaged_store_is_set_aside_and_salvaged(outcome):
    set_aside, salvage = outcome[5], outcome[6]
    assert "damaged" in set_aside["reason"] and set_aside["inherited"], set_aside
    assert salvage["batches"] >= 2 and salvage["unreadable"] == 0, salvage


@in_use
def test_the_chain_of_the_salvaged_batches_holds_up_to_a_head_noted_before(outcome):
    verified, with_head = outcome[3][2:4]
    salvaged = re.findall(r"^of store \w{32}, salvaged: (\d+) batches, .*each is the one", verified, re.MULTILINE)
    assert salvaged == [str(outcome[6]["batches"])], verified
    assert "each is the one" in with_head and "not of the store" not in with_head, with_head


@in_use
def test_what_was_lost_is_near_a_kill_or_the_damaged_page(outcome, record_property):
    found, view, killed = outcome[0], outcome[1], outcome[2]
    record_property("lost", len(found.missing))
    print(f"{len(found.missing)} of {found.matched + len(found.missing)} readings lost")
    found.assert_lost_only_near(killed, COMMIT_INTERVAL_S + SLACK_S, SLACK_S)
    for store in view.stores():
        assert not view.missing_numbers(store)


def start_set_aside(gateway):
    """Start on a store whose key is another; the file that it is set aside as, which cannot be salvaged by itself."""
    gateway.start()
    assert upkeep(gateway, "salvage")["state"] in ("idle", "failed")
    return gateway.status()["store"]["set_aside"]["path"]


def run_by_hand(site):
    """The key is lost while batches wait, and found again later; nothing is sent before the salvage."""
    folder = site.folder("store_salvage")
    plant = SequencePlant(TAGS)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", site.pki, ["readings"]))
        consumer = stack.enter_context(Consumer(broker.port, "readings", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(broker.port, "readings", site.pki)
        gateway = stack.enter_context(
            Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud, "store": WITH_TAIL})
        )
        key, kept = gateway.folder / "data" / "store.key", gateway.folder / "kept.key"
        broker.kill()
        gateway.start()
        since_s = time.time() + 1
        gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] >= 3, 40, "batches pile up")
        time.sleep(2)  # some of a tail
        waiting = gateway.status()["store"]
        stopped_s = time.time()
        gateway.stop()
        stop_s = time.time() - stopped_s
        key.rename(kept)
        words = "store", "salvage", "-c", str(gateway.file), start_set_aside(gateway)
        refused = gateway.command(*words, code=1)
        with_key = *words[:2], "--key", str(kept), *words[2:]
        said = [gateway.command(*with_key), gateway.command(*with_key)]
        gateway.command("verify", "-c", str(gateway.file))
        broker.start()
        gateway.wait_for_link()
        gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] <= 1, 30, "the backlog is gone")
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        gateway.stop()
        record = sim.record()
    found = compare(record, consumer.view().by_tag(), plant.tags, since_s, until_s)
    served = sorted({one["t"] for one in record if one["t"] < stopped_s})
    return found, consumer.view(), waiting, refused, said, (stopped_s, stop_s, served)


by_hand = pytest.mark.scenario(run_by_hand, turn=1)


@by_hand
def test_a_salvage_without_the_key_says_so(outcome):
    assert "key" in outcome[3], outcome[3]


@by_hand
def test_a_file_is_salvaged_by_hand_with_the_key_it_had(outcome):
    waiting, (first, again) = outcome[2], outcome[4]
    figures = re.fullmatch(r"(\d+) batches with (\d+) readings salvaged, 0 unreadable\n", first)
    batches, readings = map(int, figures.groups())
    assert batches >= waiting["unsent_batches"] and readings >= waiting["unsent_readings"], (first, waiting)
    assert again == first, "the second time brings nothing more"


@by_hand
def test_the_receiver_has_everything_of_it_once(outcome):
    found, view, _, _, said, (stopped_s, stop_s, _) = outcome
    found.assert_lost_only_near([stopped_s], 0, stop_s)  # what was under way when it was stopped
    assert found.matched >= TAGS
    assert view.repeats == 0
    assert int(said[0].split()[0]) in [sum(one == store for one, _ in view.batches) for store in view.stores()]
    for store in view.stores():
        assert not view.missing_numbers(store)
    view.check_chain()


@by_hand
def test_the_tail_comes_as_the_last_batch_of_its_store(outcome):
    view, (_, _, served) = outcome[1], outcome[5]
    lasts = [max((batch for (one, _), (_, batch) in view.batches.items() if one == store), key=lambda one: one.number)
             for store in view.stores()]  # fmt: skip
    old = min(lasts, key=lambda batch: batch.sealed_ms)
    assert old.readings and old.sealed_ms == max(one.time_ms for one in old.readings)
    # The two replies of the last sweep may have been under way.
    assert old.sealed_ms / 1000 > served[-3] - EARLY_S, "the tail lacks what was read before the stop"


@by_hand
def test_the_receiver_is_told_that_a_file_was_set_aside_unread(outcome):
    unknown = [loss for loss in outcome[1].losses() if loss.readings == 0]
    assert [(loss.reason, loss.from_ms) for loss in unknown] == [(4, 0)]
