"""What is lost, and why, reaches the receiver and the page: readings that were thinned for want of room, that a damaged
file held, that a full disk took no more. And a clock that is set later gives true times also to what stands in a
store that was set aside."""

import contextlib
import json
import os
import sys
import time

import pytest
from common import TESTS, free_port, wait_until
from disks import fill, small_disk
from gateway import Gateway, cloud_part
from key_holder import change_store
from plants import SequencePlant, instrument_part, sequence_tags, tcp_part
from proxy import Proxy
from simulator import Simulator, block
from test_receive import Receiver
from test_store_clock import is_true, served_ms
from test_store_history import ask_web
from test_store_upkeep import damage
from wrong_clock import ClocklessGateway, WrongClock

sys.path.insert(0, str(TESTS / "decoder"))

import forebay_batch  # noqa: E402  of tests/decoder

PAGE_BYTES = 4096
SMALLEST_DISK_BYTES = 2 * 1024 * 1024
PAGES_SPOILT = 12
REQUEST_READINGS = 31  # float64 that one answer brings at most
SLOW_BYTES_PER_S = 10000  # some seconds for one of the batches that give way, of which there is one a second
REASONS = {"quota": 1, "store full": 2, "core away": 3, "damaged": 4, "thinned": 5}


class NoisyPlant:
    """One TCP endpoint: a register that counts how often it was read, and float64 of which no bit can be foretold."""

    def __init__(self, floats, interval):
        noise = block("holding", 10, "float64", "sine", floats, base=1000, swing=500, noise=100, step=0.5, period=40)
        blocks = [block("holding", 0, "uint16", "sequence"), noise]
        self.description = {"tcp": [{"name": "hall-1", "units": [{"unit": 1, "blocks": blocks}]}]}
        self.interval, self.count = interval, floats + 1

    def configuration(self, where):
        part = instrument_part("noise", "hall-1", 1, sequence_tags("hall-1", 1, 1), interval=self.interval, word_order="abcd")
        part["tags"] += [
            {"name": f"f{i}", "table": "holding", "address": 10 + 4 * i, "type": "float64"}
            for i in range(self.count - 1)
        ]
        return {"buses": [tcp_part("hall-1", where["hall-1"])], "instruments": [part]}


    def readings_served(self, sim):
        """Readings in all that the simulator answered."""
        places = [(0, 1), *((10 + 4 * i, 4) for i in range(self.count - 1))]
        return sum(
            times * sum(address <= place and place + width <= address + count for place, width in places)
            for _, address, count, times in sim.say("honest hall-1")
        )


def kept_batches(folder):
    return [forebay_batch.decode_batch(file.read_bytes()) for file in sorted(folder.glob("*/*.batch"))]


def wait_for_loss(gateway, least):
    gateway.wait_for_status(lambda now: now["store"]["lost_readings"] >= least, 180, "readings are lost")


def seal(gateway):
    """Damage that is only met now has the gateway start again, and salvage what it can: then once more."""
    answer = gateway.ask("seal")
    if answer["ok"]:
        return
    assert answer["error"] == "again", answer
    gateway.wait_for_status(salvaged, 60, "the damaged store is salvaged")
    gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] <= 1, 60, "the backlog is gone")
    gateway.call("seal")


def salvaged(status):
    store = status["store"]
    return store["set_aside"] is not None and store["upkeep"]["salvage"]["state"] == "done"


def events_of_losses(gateway):
    """An event is on disk with the commit after what it tells of."""
    records = ask_web(gateway, "/api/records/events", "after=0")[1]["records"]
    return {one["event"] for one in records if one["event"] in ("readings-lost", "readings-thinned")}


def lose_on_the_way(gateway, proxy, kept):
    """The line is slow: while the oldest batches go over it, others give way. Then it is fast."""
    wait_for_loss(gateway, gateway.status()["store"]["lost_readings"] + 15000)
    wait_until(lambda: kept_batches(kept), 60, "the first batch has arrived")
    proxy.widen()
    proxy.reset()


def lose(site, name, plant, store, trouble, data=None, slow=None):
    """trouble(gateway): makes it lose readings while nobody receives; then the receiver comes, with slow(gateway, proxy,
    kept) over a slow line first. What it and the page say."""
    folder = site.folder(name)
    receiver_port = port = free_port()
    with contextlib.ExitStack() as stack:
        if data is not None:
            stack.enter_context(data(folder / "data"))
        if slow is not None:
            proxy = stack.enter_context(Proxy(receiver_port, SLOW_BYTES_PER_S))
            port = proxy.port
        sim = stack.enter_context(Simulator(folder / "sim", plant.description, recording=False))
        configuration = {
            **plant.configuration(sim.where), "cloud": cloud_part(port, "any", site.pki),
            "store": {"commit_interval": "1s", "forward_interval": "1s", **store},
        }  # fmt: skip
        gateway = stack.enter_context(Gateway(folder, configuration))
        gateway.start()
        trouble(gateway)
        source = ("--listen", f"127.0.0.1:{receiver_port}", "--keep-batches", folder / "kept")
        receiver = stack.enter_context(Receiver(folder / "receiver", site.pki, *source, certificate="receiver"))
        gateway.wait_for_link()
        if slow is not None:
            slow(gateway, proxy, folder / "kept")
        gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] <= 1, 60, "the backlog is gone")
        silent_ms = time.time() * 1000
        sim.say("fault hall-1 1 silent")  # what is answered from here on, nobody served
        gateway.wait_for_status(lambda now: now["buses"][0]["state"] == "down", 30, "the instrument is silent")
        served = plant.readings_served(sim)
        for _ in range(2):  # what one batch cost stands in the next
            seal(gateway)
        last = gateway.status()["store"]["last_number"]
        gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] <= now["store"]["last_number"] - last, 30,
                                "that is sent, too")  # fmt: skip
        page = ask_web(gateway, "/api/status", "")[1]["store"]
        events = wait_until(lambda: events_of_losses(gateway), 20, "an event tells of the loss")
        gateway.stop()
        summary = receiver.stop()
    return {"summary": summary, "page": page, "events": events, "batches": kept_batches(folder / "kept"),
            "served": served, "silent_ms": silent_ms}  # fmt: skip


def by_reason(outcome):
    lost = dict.fromkeys(REASONS.values(), 0)
    for one in outcome["batches"]:
        for loss in one.losses:
            lost[loss.reason] += loss.readings
    return lost


def assert_told(outcome, *reasons, beside=("core away",), in_flight=0):
    """The receiver's batches name losses for these reasons, and perhaps for those beside, which a loaded machine brings; its
    summary and the page say the same number. What the instrument served was received, or is told as lost, each once; but
    for the readings in flight, in an answer that comes when a gateway that was told to stop does not listen any more."""
    lost = by_reason(outcome)
    assert {reason for reason in REASONS if lost[REASONS[reason]]} - set(beside) == set(reasons), lost
    total = sum(lost.values())
    assert outcome["summary"]["lost"] == total == outcome["page"]["lost_readings"], (outcome["summary"], lost)
    aside = outcome["page"]["set_aside"] is not None  # whose lost batches bear numbers of another store
    assert aside or outcome["summary"]["missing"] == 0
    received = sum(one.value is not None for batch in outcome["batches"] for one in batch.readings)
    surplus = received + total - outcome["served"]
    # What was served too late for its time-out is a bad reading.
    late = sum(
        one.value is None and one.time_ms < outcome["silent_ms"] for batch in outcome["batches"] for one in batch.readings
    )  # fmt: skip
    # What damage took may have been received just before it could be noted.
    assert -late - in_flight <= surplus and (surplus <= 0 or aside), (outcome["served"], received, late, lost)


def smallest_disk(folder):
    """On which the store has less room than the smallest quota, which would take minutes to fill."""
    return small_disk(folder, SMALLEST_DISK_BYTES)


def until_many_are_lost(gateway):
    wait_for_loss(gateway, 10000)


def run_quota(site):
    """A batch each second with one or two readings of a tag: there is nothing to thin."""
    store = {"quota": "16MB", "forward_interval_offline": "1s"}
    return lose(site, "losses_quota", NoisyPlant(5000, "1s"), store, until_many_are_lost, smallest_disk,
                lose_on_the_way)  # fmt: skip


def run_thinned(site):
    store = {"quota": "16MB", "forward_interval_offline": "5s"}
    return lose(site, "losses_thinned", NoisyPlant(1000, "100ms"), store, until_many_are_lost, smallest_disk)


def spoil_pages(gateway):
    """A bit in each of some pages in a row in the middle of the file, among which there are batches, and what else may be.
    No page is free: damage to those costs nothing."""
    gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] >= 20, 60, "batches pile up")
    gateway.stop()
    change_store(gateway.folder / "data", "VACUUM")
    pages = os.stat(gateway.folder / "data" / "store.db").st_size // PAGE_BYTES
    with open(gateway.folder / "data" / "store.db", "r+b") as store:
        for page in range(pages // 2, pages // 2 + PAGES_SPOILT):
            store.seek(page * PAGE_BYTES + 1234)
            byte = store.read(1)[0]
            store.seek(-1, os.SEEK_CUR)
            store.write(bytes([byte ^ 16]))
    gateway.start()
    if gateway.status()["store"]["set_aside"] is not None:
        gateway.wait_for_status(salvaged, 60, "the damaged store is salvaged")


def run_damaged(site):
    store = {"quota": "64MB", "forward_interval_offline": "1s"}
    return lose(site, "losses_damaged", NoisyPlant(1000, "500ms"), store, spoil_pages)


def overfill(gateway):
    """More than core's memory holds, while others have all of the disk but what the closed store takes."""
    gateway.wait_for_status(lambda now: now["store"]["batches"] >= 2, 30, "batches are sealed")
    gateway.stop()
    fill(gateway.folder / "data")
    gateway.start()
    gateway.wait_for_status(lambda now: now["store"]["state"] == "full", 60, "the disk is full")
    wait_for_loss(gateway, 10000)
    os.unlink(gateway.folder / "data" / "other")
    gateway.wait_for_status(lambda now: now["store"]["state"] == "good", 30, "the store takes readings again")


def run_full(site):
    store = {"quota": "64MB", "forward_interval_offline": "2s"}
    return lose(site, "losses_full", NoisyPlant(1000, "100ms"), store, overfill, small_disk)


@pytest.mark.scenario(run_quota, turn=2)
def test_what_gave_way_to_the_quota_is_told(outcome):
    assert_told(outcome, "quota", beside=["thinned", "core away"])
    assert "readings-lost" in outcome["events"]


@pytest.mark.scenario(run_thinned, turn=2)
def test_what_was_thinned_is_told(outcome):
    assert_told(outcome, "thinned")
    assert "readings-thinned" in outcome["events"]


@pytest.mark.scenario(run_damaged, turn=2)
def test_what_damage_cost_is_told(outcome):
    assert_told(outcome, "damaged", in_flight=REQUEST_READINGS)
    assert "readings-lost" in outcome["events"]


@pytest.mark.scenario(run_full, turn=4)
def test_what_a_full_disk_cost_is_told(outcome):
    assert_told(outcome, "store full", in_flight=REQUEST_READINGS)
    assert "readings-lost" in outcome["events"]


def stores_known(state):
    """How many corrections the receiver has of each store."""
    if not state.exists():
        return []
    return [len(store["corrections"]) for store in json.loads(state.read_text(encoding="utf-8"))["received"]["stores"]]


def run_aside(site):
    """1970; core is killed, its store damaged and set aside, the clock set; only then the receiver comes."""
    folder = site.folder("losses_aside")
    plant = SequencePlant(10)
    port = free_port()
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        configuration = {
            **plant.configuration(sim.where), "cloud": cloud_part(port, "any", site.pki),
            "store": {"commit_interval": "1s", "forward_interval": "1s", "forward_interval_offline": "1s"},
        }  # fmt: skip
        gateway = stack.enter_context(ClocklessGateway(folder, configuration))
        gateway.clock = WrongClock(folder)
        gateway.start()
        gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] >= 5, 30, "batches pile up")
        killed_s = time.time()
        gateway.kill_all()
        damage(gateway)
        gateway.start()
        gateway.wait_for_status(lambda now: now["store"]["upkeep"]["salvage"]["state"] == "done", 30, "it is salvaged")
        aside = gateway.status()["store"]["set_aside"]
        set_s = time.time()
        gateway.clock.set(0, True)
        gateway.wait_for_status(lambda now: now["gateway"]["clock"] == "synchronised", 20, "the clock is set")
        time.sleep(8)  # the batch that corrects waits for what was read just before
        source = ("--listen", f"127.0.0.1:{port}")
        receiver = stack.enter_context(Receiver(folder / "receiver", site.pki, *source, certificate="receiver"))
        gateway.wait_for_link()
        gateway.wait_for_status(lambda now: now["store"]["unsent_batches"] <= 1, 60, "the backlog is gone")
        state = folder / "receiver" / "state" / "state.json"
        wait_until(lambda: all(stores_known(state)) and len(stores_known(state)) == 2, 60, "both stores are corrected")
        gateway.stop()
        record = sim.record()
        receiver.stop()
        known = json.loads(state.read_text(encoding="utf-8"))
    return receiver.readings(), served_ms(record), (killed_s, set_s), aside, known["received"]["stores"]


@pytest.mark.scenario(run_aside, turn=2)
def test_a_clock_set_later_gives_true_times_to_a_store_set_aside(outcome):
    lines, served, (killed_s, set_s), aside, stores = outcome
    assert "damaged" in aside["reason"] and aside["inherited"]
    assert [len(store["corrections"]) for store in stores] == [1, 1]
    early = [
        one for one in lines
        if one.tag[1] == "r0" and one.quality != "bad" and served[one.value] < (set_s - 1) * 1000
    ]  # fmt: skip
    assert len(early) >= 5 and {one.reason for one in early} == {"clock not set"}
    wrong = [one for one in early if not is_true(one.time_ms, one.value, served)]
    # What came before the record keeps its time; the state file says what to add (docs/receive.md).
    assert all(served[one.value] > killed_s * 1000 for one in wrong), "a line of the store set aside is wrong"
    ((_, _, from_ms, to_ms, right_ms),) = stores[0]["corrections"]
    for one in wrong:
        assert from_ms <= one.time_ms <= to_ms
        assert is_true(one.time_ms + right_ms - from_ms, one.value, served), one
