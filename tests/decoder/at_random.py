"""Columns and envelopes that are mostly sound: several groups and series, and records near the edges of what may be."""

import forebay_batch as fb
from cases import OTHER
from handmade import STORE, T0, qualities, runs, varint, zigzag

BOOLEAN = 3
EDGES = (0, 1, 2, 3, 23, 24, 2**32, fb.TIME_MAX_MS - 1, fb.TIME_MAX_MS, fb.TIME_MAX_MS + 1, 2**63 - 1, 2**63, 2**64 - 1)


class Columns:
    """Groups, and series of all kinds but texts over them."""

    def __init__(self, chance):
        self.groups = [chance.randrange(1, 5) for _ in range(chance.randrange(1, 4))]
        groups = range(len(self.groups))
        self.series = [*groups, *chance.choices(groups, k=chance.randrange(4))]
        chance.shuffle(self.series)
        sizes = [self.groups[one] for one in self.series]
        self.total = sum(sizes)
        self.marks = chance.choices((0, 0, 0, 64, 128, 130, 192, 255), k=self.total)
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        self.values = [sum(map(fb.has_value, self.marks[end - size : end])) for end, size in zip(ends, sizes)]
        self.encodings = chance.choices((0, 1, 2, 2, BOOLEAN, 18, 34, 28, 44), k=len(sizes))
        self.shapes = [
            chance.choice((0, 0, 1, 8, 128, 135)) if values and encoding != BOOLEAN else 0
            for values, encoding in zip(self.values, self.encodings)
        ]

    def outline(self, chance):
        yield from (varint(len(self.groups)), varint(len(self.series)), *map(varint, self.groups))
        yield from (varint(chance.choice((1, 1, 2, 300))) for _ in self.series)
        yield from (zigzag(one - before) for before, one in zip([0, *self.series], self.series))
        yield from (bytes([one]) for one in (*self.encodings, *self.shapes))

    def times(self, chance):
        yield zigzag(T0)
        yield from (zigzag(chance.randrange(-2000, 2000)) for _ in self.groups[1:])
        yield from (zigzag(chance.choice((0, 0, 1000, -1000, 1))) for size in self.groups for _ in range(size - 1))
        yield qualities(*((mark, 1) for mark in self.marks))
        yield runs((chance.choice((0, 9)), self.total))

    def numbers(self, chance):
        bits = sum((shape & 127) * values for shape, values in zip(self.shapes, self.values))
        yield chance.getrandbits(bits).to_bytes((bits + 7) // 8, "little")
        numbered = [(values, encoding == BOOLEAN) for values, encoding in zip(self.values, self.encodings) if values]
        yield from (varint(0 if boolean else chance.randrange(2**20)) for _, boolean in numbered)
        for values, boolean in numbered:
            yield from (varint(0 if boolean else chance.choice((0, 1, 5, 200))) for _ in range(values - 1))


def columns(chance):
    """A string and its readings. One part may be another, so that what stands behind it still means what it meant."""
    made = Columns(chance)
    parts = [*made.outline(chance), *made.times(chance), *made.numbers(chance)]
    if chance.random() < 0.5:
        at = chance.randrange(len(parts))
        others = (b"", parts[at] * 2, varint(chance.randrange(300)), varint(2**32), varint(2**63), b"\0")
        parts[at] = chance.choice(others)
    return b"".join(parts), made.total


def member(chance, most):
    return chance.choice(EDGES) if chance.random() < 0.1 else chance.randrange(most)


def record(chance, *most):
    """Members, mostly each below its most; batches and times are mostly in their order."""
    members = [member(chance, one) for one in most]
    for at in range(0, len(members) - 1, 2):
        if chance.random() < 0.8:
            members[at : at + 2] = sorted(members[at : at + 2])
    return members


def correction(chance):
    elsewhere = (STORE, bytes(16), OTHER, OTHER, OTHER, b"short")
    return record(chance, 3, 3, 5, 5, 5) + ([chance.choice(elsewhere)] if chance.random() < 0.5 else [])


def loss(chance):
    return [chance.randrange(7), member(chance, 9), *record(chance, 5, 5, 5, 5)]


def envelope(chance):
    """For handmade.batch()."""
    fields = {"_4": member(chance, 9), "_7": member(chance, 9), "_8": chance.randrange(4)}
    fields["_9"] = [loss(chance) for _ in range(chance.randrange(3))]
    if chance.random() < 0.7:
        fields["_12"] = [correction(chance) for _ in range(chance.randrange(1, 3))]
    return fields
