"""What somebody who has the store's key does to batches in it: `forebay verify` names the first that is not as it was
sealed. What is made anew up to the end shows against a head that was noted before."""

import contextlib
import dataclasses
import hashlib
import shutil
import subprocess
import sys

import pytest
import zstandard
from common import TESTS, program
from gateway import Gateway
from key_holder import change_store
from plants import SequencePlant
from simulator import Simulator

sys.path.insert(0, str(TESTS / "decoder"))

import forebay_batch  # noqa: E402  of tests/decoder

TAGS = 20
BATCHES = 9
FORGED = 4  # somewhere in the middle
STORE = {"commit_interval": "200ms", "forward_interval": "1s", "forward_interval_offline": "1s"}


class Batches:
    """Those of a closed store, as its key shows them. head: the number of the last that somebody has noted."""

    def __init__(self, data, head):
        self.data, self.head = data, head
        rows = change_store(data, "SELECT number || ' ' || hex(bytes) FROM batches ORDER BY number")
        self.bytes = {int(number): bytes.fromhex(digits) for number, digits in map(str.split, rows)}
        self.last = len(self.bytes)
        assert list(self.bytes) == list(range(1, self.last + 1)) and FORGED + 3 < head <= self.last

    def sql(self, statements):
        change_store(self.data, f"BEGIN; {statements}; COMMIT")

    def put(self, number, message):
        """The message under the number, with a hash that fits, so that the gateway takes it for what it has sealed."""
        digest = hashlib.sha256(message).hexdigest()
        self.sql(f"UPDATE batches SET bytes = x'{message.hex()}', hash = x'{digest}' WHERE number = {number}")

    def make_anew(self, first, last):
        """The first with another value, and those after it each behind the one that now stands before it."""
        message = with_another_value(self.bytes[first])
        self.put(first, message)
        for number in range(first + 1, last + 1):
            message = behind(self.bytes[number], message)
            self.put(number, message)
        return message

    def go_on_behind(self, number, message):
        """The gateway seals what comes behind this one."""
        self.sql(f"UPDATE state SET last_number = {number}, last_hash = x'{hashlib.sha256(message).hexdigest()}'")


def packed(plain):
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(bytes(plain))


def without_values(batch):
    return dataclasses.replace(batch, readings=[dataclasses.replace(one, value=None) for one in batch.readings])


def with_another_value(message):
    """The message with one bit changed: it says the same but for the values of readings."""
    plain = bytearray(zstandard.ZstdDecompressor().decompress(message))
    told = forebay_batch.decode_batch(message)
    for at in reversed(range(len(plain))):
        plain[at] ^= 2
        with contextlib.suppress(forebay_batch.Invalid):
            other = forebay_batch.decode_batch(packed(plain))
            if other != told and without_values(other) == without_values(told):
                return packed(plain)
        plain[at] ^= 2
    raise AssertionError("no bit of it is a value's")


def behind(message, previous):
    """The same message as it would be, had it been sealed behind the previous one."""
    plain = zstandard.ZstdDecompressor().decompress(message)
    told = forebay_batch.decode_batch(message).previous
    assert plain.count(told) == 1
    return packed(plain.replace(told, hashlib.sha256(previous).digest()))


def nobody(batches):
    assert batches.last >= BATCHES


def alter(batches):
    batches.make_anew(FORGED, FORGED)


def alter_the_first(batches):
    batches.make_anew(1, 1)


def alter_two(batches):
    batches.make_anew(FORGED, FORGED)
    batches.make_anew(FORGED + 2, FORGED + 2)


def alter_without_its_hash(batches):
    message = with_another_value(batches.bytes[FORGED])
    batches.sql(f"UPDATE batches SET bytes = x'{message.hex()}' WHERE number = {FORGED}")


def remove(batches, first=FORGED, last=FORGED):
    """And whatever counts them."""
    where = f"WHERE number BETWEEN {first} AND {last}"
    batches.sql(
        f"UPDATE state SET batches = batches - {last - first + 1},"
        f" readings = readings - (SELECT sum(readings) FROM batches {where}),"
        f" unsent_batches = unsent_batches - (SELECT count(*) FROM queue {where}),"
        f" unsent_readings = unsent_readings - (SELECT total(readings) FROM queue {where});"
        f" DELETE FROM batches {where}; DELETE FROM queue {where}"
    )


def remove_two(batches):
    remove(batches, FORGED, FORGED + 1)


def remove_the_first(batches):
    remove(batches, 1, 1)


def pass_off_as_history(batches):
    """The store itself says how far batches that were sent gave way to newer ones."""
    remove(batches)
    batches.sql(f"UPDATE state SET evicted_to = {FORGED}")


def swap(batches, first=FORGED, second=FORGED + 1):
    batches.sql(
        f"UPDATE batches SET number = -1 WHERE number = {first}; UPDATE batches SET number = {first} WHERE number ="
        f" {second}; UPDATE batches SET number = {second} WHERE number = -1"
    )


def swap_far(batches):
    swap(batches, FORGED, FORGED + 3)


def make_some_anew(batches):
    batches.make_anew(FORGED, FORGED + 2)


def make_the_end_anew(batches):
    batches.go_on_behind(batches.last, batches.make_anew(batches.head, batches.last))


def make_much_anew(batches):
    batches.go_on_behind(batches.last, batches.make_anew(FORGED, batches.last))


def cut_off_the_end(batches):
    """The gateway seals others under their numbers."""
    last = batches.head - 3
    remove(batches, last + 1, batches.last)
    batches.go_on_behind(last, batches.bytes[last])


# What is done, and what is said of which batch. Of those that were made anew up to some batch, it is the one of which the
# first that was left alone carries another hash.
FORGERIES = (
    (alter, FORGED, "was altered"),
    (alter_the_first, 1, "was altered"),
    (alter_two, FORGED, "was altered"),
    (alter_without_its_hash, FORGED, "cannot be read any more"),
    (remove, FORGED, "was removed"),
    (remove_two, FORGED, "was removed"),
    (remove_the_first, 1, "was removed"),
    (swap, FORGED, "was reordered"),
    (swap_far, FORGED, "was reordered"),
    (make_some_anew, FORGED + 2, "was altered"),
)
# These leave a chain that is good in itself.
ENDS = (make_the_end_anew, make_much_anew, cut_off_the_end)


def forge(data, kept, forger, head):
    """The forger's work on a store as it was kept."""
    shutil.rmtree(data)
    shutil.copytree(kept, data)
    forger(Batches(data, head))


def verify(gateway, *words):
    """Exit code and what it says."""
    done = subprocess.run([program("forebay"), "verify", "-c", gateway.file, *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30)  # fmt: skip
    return done.returncode, done.stdout


def run(site):
    """What is said of each forger's work, without and with a head noted before, by a gateway that goes on behind it."""
    folder = site.folder("store_forged")
    plant = SequencePlant(TAGS)
    said = {}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "sim", plant.description, recording=False))
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "store": STORE}))
        data, kept = gateway.folder / "data", gateway.folder / "kept"
        gateway.start()
        gateway.wait_for_status(lambda now: now["store"]["last_number"] >= BATCHES, 60, "batches are sealed")
        head = verify(gateway)[1].split()[-1]
        number = int(head.split("/")[1])
        gateway.stop()
        shutil.copytree(data, kept)
        for forger in (nobody, pass_off_as_history, *(forgery[0] for forgery in FORGERIES), *ENDS):
            forge(data, kept, forger, number)
            gateway.start()
            gateway.wait_for_status(lambda now: now["store"]["last_number"] > number, 30, "batches follow")
            said[forger] = verify(gateway), verify(gateway, "--head", head)
            gateway.stop()
    return said, number


scenario = pytest.mark.scenario(run, turn=2)


@scenario
def test_a_store_that_nobody_forged_is_good(outcome):
    for code, text in outcome[0][nobody]:
        assert code == 0 and "each is the one that the next was made behind" in text, text


@scenario
def test_what_passes_for_history_that_gave_way_is_counted(outcome):
    for code, text in outcome[0][pass_off_as_history]:
        assert code == 0 and "; 1 are not there any more, which is explained" in text, text


@scenario
@pytest.mark.parametrize("forger, number, finding", FORGERIES, ids=[forgery[0].__name__ for forgery in FORGERIES])
def test_the_first_batch_of_the_store_that_is_not_as_it_was_is_named(outcome, forger, number, finding):
    for code, text in outcome[0][forger]:
        assert code == 1 and text.startswith(f"batch {number} {finding}"), text


@scenario
@pytest.mark.parametrize("forger", ENDS)
def test_an_end_that_was_made_anew_shows_against_a_head_noted_before(outcome, forger):
    said, number = outcome
    (code, text), (code_with_head, text_with_head) = said[forger]
    assert code == 0 and "each is the one that the next was made behind" in text, text
    assert code_with_head == 1 and text_with_head.startswith(f"batch {number} is not the one that was pinned")
