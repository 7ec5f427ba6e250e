"""The comparison that the other tests rest on finds what is missing, made up or wrong."""

import struct

import pytest
from compare import Tag, compare
from consumer import Reading

NAME = ("pump", "flow")
TAGS = {NAME: Tag("hall", 1, "holding", 4, "uint16")}


def entry(t, value, fault=None):
    data = bytes(8) + struct.pack(">H", value)
    return {
        "t": t, "bus": "hall", "unit": 1, "table": "holding", "address": 0, "count": 5, "data": data, "fault": fault
    }  # fmt: skip


def reading(t, value, quality="good"):
    return Reading(NAME, round(t * 1000), value, quality, "", 0, 1)


RECORD = [entry(100.0, 7), entry(101.0, 8), entry(102.0, 9), entry(103.0, 10, "silent"), entry(104.0, 11)]
READINGS = [
    reading(100.01, 7), reading(101.01, 8), reading(102.02, 9), reading(103.5, None, "bad"), reading(104.01, 11)
]  # fmt: skip


def found(readings):
    return compare(RECORD, {NAME: readings}, TAGS, 99, 110)


def test_what_is_right_is_equal():
    found(READINGS).assert_equal(at_least=4)


def test_the_range_of_time_bounds_what_is_looked_at():
    assert compare(RECORD, {NAME: READINGS}, TAGS, 100.5, 102.5).matched == 2


@pytest.mark.parametrize(
    "readings, part",
    [
        (READINGS[:2] + READINGS[3:], "missing"),
        (READINGS + [reading(104.02, 11)], "extra"),
        (READINGS[:3] + [reading(103.01, 10)] + READINGS[4:], "extra"),
        (READINGS[:1] + [reading(101.01, 7)] + READINGS[2:], "wrong"),
        (READINGS[:1] + [reading(101.01, 8.0)] + READINGS[2:], "wrong"),
    ],
)
def test_what_is_not_right_is_found(readings, part):
    result = found(readings)
    assert len(getattr(result, part)) == 1, str(result)
    with pytest.raises(AssertionError):
        result.assert_equal(at_least=0)


def test_a_loss_far_from_every_kill_is_told():
    result = found(READINGS[:2] + READINGS[3:])
    result.assert_lost_only_near([102.5], before_s=1, after_s=0.2)
    with pytest.raises(AssertionError):
        result.assert_lost_only_near([104], before_s=1, after_s=0.2)


def test_a_machine_that_stops_makes_no_fault():
    """Here for five seconds behind the second reply, before its reading was made."""
    record = RECORD[:2] + [entry(106.2, 9)]
    readings = [READINGS[0], reading(106.1, 8), reading(106.3, 9)]
    compare(record, {NAME: readings}, TAGS, 99, 110).assert_equal(at_least=3)
    lost = compare(record, {NAME: readings[:1]}, TAGS, 99, 110)
    lost.assert_lost_only_near([106.3], before_s=1.25, after_s=0)
    with pytest.raises(AssertionError):  # something else was polled meanwhile
        others = [{**entry(102 + i, 0), "bus": "other"} for i in range(4)]
        compare(record + others, {NAME: readings[:1]}, TAGS, 99, 110).assert_lost_only_near([106.3], 1.25, 0)
