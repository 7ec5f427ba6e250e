"""The main job: a minute of readings from two TCP endpoints and an RTU line with three units, value by value."""

import bisect
import contextlib
import time

import pytest
from compare import EARLY_S, compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import MixedPlant
from simulator import Simulator, values

DURATION_S = 60


class Outcome:
    """What the scenario leaves for the tests."""

    def __init__(self, plant, record, view, since_s, until_s, skipped):
        self.plant, self.record, self.view, self.skipped = plant, record, view, skipped
        self.since_s, self.until_s = since_s, until_s
        self.by_tag = view.by_tag()

    def readings_of(self, name):
        return [one for one in self.by_tag[name] if self.since_s <= one.time_ms / 1000 <= self.until_s]


def run(site):
    folder = site.folder("main_job")
    plant = MixedPlant(folder)
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "main", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(site.broker.port, "main", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        gateway.wait_for_buses()
        since_s = time.time() + 2
        until_s = since_s + DURATION_S
        time.sleep(max(0, until_s + 1 - time.time()))
        consumer.wait_for_readings(plant.tags, until_s)
        figures, slots_skipped = sim.say("figures"), gateway.skipped()
        gateway.stop()
        assert all(one["other_functions"] == 0 for one in figures.values()), f"something other than reads: {figures}"
        return Outcome(plant, sim.record(), consumer.view(), since_s, until_s, slots_skipped)


pytestmark = pytest.mark.scenario(run, turn=1)


def test_every_reply_is_one_reading_with_its_value(outcome):
    found = compare(outcome.record, outcome.by_tag, outcome.plant.tags, outcome.since_s, outcome.until_s)
    found.assert_equal(at_least=(DURATION_S - 1 - sum(outcome.skipped.values())) * len(outcome.plant.tags))


def test_every_reading_is_good_and_none_is_missing_against_the_schedule(outcome):
    for name, tag in outcome.plant.tags.items():
        readings = outcome.readings_of(name)
        skipped = outcome.skipped[tag.bus]
        assert {one.quality for one in readings} == {"good"}, name
        assert DURATION_S - 1 - skipped <= len(readings) <= DURATION_S + 1, f"{name}: {len(readings)} readings, {skipped} skipped"
        steps = [b.time_ms - a.time_ms for a, b in zip(readings, readings[1:])]
        # One that was late, by less than a second or its slot would have been skipped, is followed by one in time.
        assert 0 < min(steps) and max(steps) < 2000 + 1000 * skipped, f"{name}: {min(steps)} to {max(steps)} ms between readings"


def test_values_are_those_of_the_formulas(outcome):
    """Without what the record says of values: that of a step between the request and the reading."""
    description = outcome.plant.description
    blocks = {(one["table"], one["address"]): one for one in description["tcp"][0]["units"][0]["blocks"]}
    checked = wanted = 0
    for name, tag in outcome.plant.tags.items():
        block = blocks.get((tag.table, tag.address))
        if block is None or block["form"] != "sine" or (tag.scale, tag.offset) != ("1", "0"):
            continue
        wanted += DURATION_S - 1 - outcome.skipped[tag.bus]
        place = tag.bus, tag.unit, tag.table
        asked = [e["t"] for e in outcome.record if (e["bus"], e["unit"], e["table"]) == place and tag.covered_by(e)]
        for one in outcome.readings_of(name):
            last = values.step_number(block, one.time_ms / 1000)
            first = values.step_number(block, asked[bisect.bisect_right(asked, one.time_ms / 1000 + EARLY_S) - 1])
            possible = []
            for n in range(first, last + 1):
                data = values.encode(values.value_at(block, 0, n, description["seed"]), tag.type, tag.order)
                possible.append(values.decode(data, tag.type, tag.order))
            assert one.value in possible, (name, one, possible)
            checked += 1
    assert checked >= wanted > 0


def test_messages_have_the_properties_of_the_documents(outcome):
    assert not outcome.view.wrong_properties


def test_batches_are_whole(outcome):
    (store,) = outcome.view.stores()
    assert not outcome.view.missing_numbers(store)
    outcome.view.check_chain()
    assert not outcome.view.losses()
