"""What the receiver got, beside what the simulator sent: every reply is one reading of each of its tags, no more, no
less, and the very value."""

import bisect
import dataclasses
import decimal
import itertools

from simulator import values

# A reading carries the time at which its reply arrived; the record that at which the request was handled. A reply may
# take this long in between (9600 baud, a machine that stops a while; the next reply to the tag ends it in any case), and
# the clocks' roundings a little the other way.
EARLY_S = 0.005
LATE_S = 10
# A while in which nothing was asked counts as one interval of the plants: the machine stopped, or Forebay was not there.
IDLE_S = 1.0
# Faults whose replies are true all the same.
HONEST_FAULTS = (None, "duplicate", "twice", "freeze", "trailing", "drip", "last")


@dataclasses.dataclass
class Tag:
    """A tag as configured and where its registers are on the simulated bus. scale, offset: as written."""

    bus: str
    unit: int
    table: str
    address: int
    type: str
    order: str = "abcd"
    scale: str = "1"
    offset: str = "0"

    @property
    def width(self):
        return values.TYPES[self.type][0]

    def covered_by(self, entry):
        end = entry["address"] + entry["count"]
        return entry["address"] <= self.address and self.address + self.width <= end

    def decode(self, entry):
        """The value that the entry's reply gave this tag."""
        each = 1 if self.table in values.BIT_TABLES else 2
        at = (self.address - entry["address"]) * each
        data = entry["data"][at : at + self.width * each]
        if self.type == "bit":
            return bool(data[-1] & 1)
        raw = values.decode(data, self.type, self.order)
        if self.type == "uint64":  # larger than the integers that a reading holds: always a real
            raw = float(raw)
        if (self.scale, self.offset) == ("1", "0"):
            return raw
        exact = decimal.Decimal(raw) * decimal.Decimal(self.scale) + decimal.Decimal(self.offset)
        return float(exact) if "." in self.scale + self.offset else int(exact)


@dataclasses.dataclass
class Comparison:
    matched: int = 0
    missing: list = dataclasses.field(default_factory=list)  # (name, entry): honest replies without a reading
    extra: list = dataclasses.field(default_factory=list)  # (name, reading): good readings without a reply
    wrong: list = dataclasses.field(default_factory=list)  # (name, entry, reading): another value than was sent
    asked: list = dataclasses.field(default_factory=list)  # when something was, UTC seconds in order

    def __str__(self):
        parts = [f"{self.matched} matched"]
        for word in ("missing", "extra", "wrong"):
            found = getattr(self, word)
            parts.append(f"{len(found)} {word}{': ' + str(found[:5]) if found else ''}")
        return "; ".join(parts)

    def assert_equal(self, at_least):
        """Everything sent was received, and nothing else; at_least: so many readings, or the test proved nothing."""
        assert not (self.missing or self.extra or self.wrong), str(self)
        assert self.matched >= at_least, str(self)

    def _passed_s(self, since_s, until_s):
        """As seen by who polls: see IDLE_S."""
        between = self.asked[bisect.bisect_right(self.asked, since_s) : bisect.bisect_left(self.asked, until_s)]
        return sum(min(IDLE_S, b - a) for a, b in itertools.pairwise([since_s, *between, until_s]))

    def _is_near(self, at_s, moment, before_s, after_s):
        if at_s <= moment:
            return self._passed_s(at_s, moment) <= before_s
        return self._passed_s(moment, at_s) <= after_s

    def assert_lost_only_near(self, moments, before_s, after_s):
        """Nothing wrong or made up, and what is missing was answered at most before_s before or after_s after one of
        the moments (UTC seconds), not counting that nothing was asked for longer than IDLE_S."""
        assert not (self.extra or self.wrong), str(self)
        old = [
            (name, entry["t"]) for name, entry in self.missing
            if not any(self._is_near(entry["t"], moment, before_s, after_s) for moment in moments)
        ]
        assert not old, f"{len(old)} readings lost that were safe: {old[:5]}; kills at {moments[:20]}"


def _index(record):
    """{(bus, unit, table): entries with an honest reply, in order}"""
    result = {}
    for entry in record:
        if entry["data"] is not None and entry["fault"] in HONEST_FAULTS:
            result.setdefault((entry["bus"], entry["unit"], entry["table"]), []).append(entry)
    return result


def compare(record, by_tag, tags, since_s, until_s):
    """record: Simulator.record(). by_tag: View.by_tag(). tags: {(instrument, name): Tag}. Looks at replies sent from
    since_s to until_s (UTC seconds). Every good reading belongs to the newest reply at its time."""
    index = _index(record)
    result = Comparison(asked=sorted(entry["t"] for entry in record))
    for name, tag in tags.items():
        entries = [e for e in index.get((tag.bus, tag.unit, tag.table), []) if tag.covered_by(e)]
        times = [entry["t"] - EARLY_S for entry in entries]
        taken = set()
        for reading in by_tag.get(name, []):
            if reading.quality == "bad":
                continue
            at = bisect.bisect_right(times, reading.time_ms / 1000) - 1
            if at < 0 or at in taken or reading.time_ms / 1000 - times[at] > LATE_S:
                if since_s <= reading.time_ms / 1000 <= until_s:
                    result.extra.append((name, reading))
                continue
            taken.add(at)
            sent = tag.decode(entries[at])
            if reading.value != sent or type(reading.value) is not type(sent):
                result.wrong.append((name, entries[at], reading))
        wanted = [i for i, entry in enumerate(entries) if since_s <= entry["t"] <= until_s]
        result.matched += sum(i in taken for i in wanted)
        result.missing += [(name, entries[i]) for i in wanted if i not in taken]
    return result
