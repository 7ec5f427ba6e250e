"""Messages made after docs/batch.md, right ones and wrong ones, and what a decoded one is in the vectors' words."""

import hashlib
import json
import math
import struct

import forebay_batch as fb
import zstandard

STORE, HASH = bytes(range(16)), bytes(range(32))
T0 = 1_795_293_200_000


class Raw(bytes):
    """CBOR as it stands."""


def cbor(value):
    """The shortest CBOR of numbers, bytes, texts, lists and maps."""

    def head(major, number):
        for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 24:
                return bytes([major << 5 | number])
            if number < 1 << (8 * size):
                return bytes([major << 5 | low]) + number.to_bytes(size, "big")
        raise OverflowError

    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(key) + cbor(one) for key, one in value.items())


def varint(number):
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def zigzag(number):
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def frame(content):
    return zstandard.ZstdCompressor(level=1).compress(content)


def raw_frame(content, window, dictionary=None, block=0):
    """A frame of one block that is not compressed (block: its kind), with a window (RFC 8878, section 3.1.1)."""
    head = bytes([0x80 if dictionary is None else 0x81, window])
    head += b"" if dictionary is None else bytes([dictionary])
    block_head = struct.pack("<I", len(content) << 3 | block << 1 | 1)[:3]
    return b"\x28\xb5\x2f\xfd" + head + struct.pack("<I", len(content)) + block_head + content


def changed_map(fields, changed):
    """The content: fields, of which those named _KEY are others, or None: left out."""
    fields |= {int(key[1:]): value for key, value in changed.items()}
    return cbor({key: value for key, value in fields.items() if value is not None})


def batch_content(columns=bytes(4), readings=0, **changed):
    fields = {
        0: 1, 1: "batch", 2: "plant-north", 3: STORE, 4: 2, 5: HASH, 6: HASH, 7: 1_795_293_200_000, 8: 2, 9: [],
        10: readings, 11: columns,
    }  # fmt: skip
    return changed_map(fields, changed)


def batch(columns=bytes(4), readings=0, **changed):
    return frame(batch_content(columns, readings, **changed))


def wrapped(number):
    """number modulo 2^64 as a signed number."""
    return (number + 2**63) % 2**64 - 2**63


def catalogue(tags, **changed):
    fields = {0: 1, 1: "catalogue", 2: "plant-north", 3: STORE, 4: 3, 5: 1_795_293_200_000, 6: tags}
    return frame(changed_map(fields, changed))


def runs(*pairs):
    """Qualities or details, as (value, how many)."""
    lengths = b"".join(varint(length) for _, length in pairs)
    return varint(len(pairs)) + b"".join(varint(value) for value, _ in pairs) + lengths


def qualities(*pairs):
    lengths = b"".join(varint(length) for _, length in pairs)
    return varint(len(pairs)) + bytes(value for value, _ in pairs) + lengths


def parts(readings=2, **changed):
    """A batch of the integers 5 and 6 of tag 1, of which the parts of the columns that are named are others."""
    columns = {
        "groups": varint(1), "series": varint(1), "sizes": varint(2), "tags": varint(1), "indexes": zigzag(0),
        "encodings": b"\2", "shapes": b"\0", "first": zigzag(T0), "steps": zigzag(1000), "qualities": qualities((0, 2)),
        "details": runs((0, 2)), "low": b"", "high": zigzag(5) + zigzag(1), "texts": b"",
    }  # fmt: skip
    assert columns.keys() >= changed.keys()
    return batch(b"".join((columns | changed).values()), readings)


def distances(numbers, smoothed=False):
    """The zigzags of what the numbers are away from what is expected."""
    expected, folded = 0, []
    for i, number in enumerate(numbers):
        distance = wrapped(number - expected)
        expected = wrapped(expected + (wrapped(distance + 2) >> 2)) if smoothed and i else number
        folded.append(distance << 1 if distance >= 0 else (-distance << 1) - 1)
    return folded


def low_bits(*series):
    """Of all series, each given as its folded distances and its width."""
    total = at = 0
    for folded, width in series:
        for one in folded:
            total |= (one & ((1 << width) - 1)) << at
            at += width
    return total.to_bytes((at + 7) // 8, "little")


def numbers(encoding, shape, folded, beside=b""):
    """A batch of one series of good numbers; beside: what stands behind them."""
    width, count = shape & 127, len(folded)
    columns = [bytes([1, 1]), varint(count), bytes([1, 0, encoding, shape]), zigzag(T0), bytes(count - 1)]
    columns += [bytes([1, 0]), varint(count), bytes([1, 0]), varint(count)]
    columns += [low_bits((folded, width)), *(varint(one >> width) for one in folded), beside]
    return batch(b"".join(columns), count)


def ordered(value, width):
    """The ordered form of a float."""
    bits = int.from_bytes(struct.pack(">f" if width == 4 else ">d", value), "big", signed=True)
    return bits if bits >= 0 else bits ^ (2 ** (8 * width - 1) - 1)


def texts(readings, dictionary, runs):
    """A batch of one series of good texts; runs are (index, length)."""
    data = [one.encode() if isinstance(one, str) else one for one in dictionary]
    columns = [bytes([1, 1]), varint(readings), bytes([1, 0, 4, 0]), zigzag(T0), bytes(readings - 1)]
    columns += [bytes([1, 0]), varint(readings), bytes([1, 0]), varint(readings)]
    columns += [varint(len(data)), *(varint(len(one)) for one in data), *data]
    columns += [varint(len(runs)), *(varint(index) for index, _ in runs), *(varint(length) for _, length in runs)]
    return batch(b"".join(columns), readings)


# Two series over one group of three times (T0, +1000, +2001), two over a group of one time.
REALS = distances([ordered(1.5, 4), ordered(1.5, 4), ordered(-2.0, 4)], smoothed=True)
PI = distances([ordered(-math.pi, 8)])
LOW_BITS = low_bits((REALS, 20), (distances([-9]), 3), (PI, 56))  # 119 bits
SHAPES = bytes([0, 128 + 20, 3, 56])
COLUMNS = b"".join([
    varint(2), varint(4),
    varint(3), varint(1),  # group sizes
    varint(5), varint(2), varint(300), varint(0),  # tags 5, 7, 307, 307
    zigzag(0), zigzag(0), zigzag(1), zigzag(0),  # groups 0, 0, 1, 1
    bytes([18, 1, 2, 0]),  # decimal with two places, real32 bits, integer, real64 bits
    SHAPES,
    zigzag(T0), zigzag(500),
    zigzag(1000), zigzag(1),
    varint(3), bytes([0, 130, 0]), varint(1), varint(1), varint(6),  # qualities: good, exception, good ...
    varint(3), varint(0), varint(2), varint(0), varint(1), varint(1), varint(6),  # details
    LOW_BITS,
    zigzag(7), varint(REALS[0] >> 20), varint(17 >> 3), varint(PI[0] >> 56),  # the first of each
    zigzag(2 - 7), varint(REALS[1] >> 20), varint(REALS[2] >> 20),
])  # fmt: skip
READINGS = [
    fb.Reading(5, "real64", T0, 0, 0, 0.07), fb.Reading(5, "real64", T0 + 1000, 130, 2, None),
    fb.Reading(5, "real64", T0 + 2001, 0, 0, 0.02), fb.Reading(7, "real32", T0, 0, 0, 1.5),
    fb.Reading(7, "real32", T0 + 1000, 0, 0, 1.5), fb.Reading(7, "real32", T0 + 2001, 0, 0, -2.0),
    fb.Reading(307, "integer", T0 + 500, 0, 0, -9), fb.Reading(307, "real64", T0 + 500, 0, 0, -math.pi),
]  # fmt: skip


BITS = {"real64": ">d", "real32": ">f", "integer": ">q", "boolean": ">?"}
LISTED_MOST = 1000


def value_json(reading):
    """The value as the bits of its kind, in 16 hexadecimal digits; texts as they are."""
    if reading.value is None or reading.kind == "text":
        return reading.value
    return struct.pack(BITS[reading.kind], reading.value).hex().zfill(16)


def readings_json(readings):
    rows = []
    for one in readings:
        rows.append([one.tag, fb.KINDS.index(one.kind), one.time_ms, one.quality, one.detail, value_json(one)])
    if len(rows) <= LISTED_MOST:
        return rows
    lines = "".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n" for row in rows)
    return [len(rows), hashlib.sha256(lines.encode()).hexdigest()]


def correction_json(correction):
    members = list(vars(correction).values())
    return members[:-1] if correction.store is None else [*members[:-1], correction.store.hex()]


def as_json(data):
    """What a frame holds, in the words of tests/data/batch/README.md; or Invalid."""
    decoded = fb.decode(data)
    shown = {"hash": fb.sha256(data).hex(), "gateway": decoded.gateway, "store": decoded.store.hex()}
    if isinstance(decoded, fb.Catalogue):
        tags = [[tag.number, tag.instrument, tag.name, tag.unit, fb.KINDS.index(tag.kind)] for tag in decoded.tags]
        return {"message": "catalogue", **shown, "revision": decoded.revision, "made": decoded.made_ms, "tags": tags}
    shown |= {"message": "batch", "number": decoded.number, "previous": decoded.previous.hex()}
    shown |= {"catalogue": decoded.catalogue.hex(), "sealed": decoded.sealed_ms, "clock": decoded.clock}
    shown["losses"] = [list(vars(loss).values()) for loss in decoded.losses]
    shown["readings"] = readings_json(decoded.readings)
    if decoded.corrections:
        shown["corrections"] = [correction_json(correction) for correction in decoded.corrections]
    return shown
