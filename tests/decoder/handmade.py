"""Messages made by hand from docs/batch.md, good ones and bad ones, and what a decoded one is in the vectors' words."""

import hashlib
import json
import math
import struct

import forebay_batch as fb
import zstandard

STORE, HASH = bytes(range(16)), bytes(range(32))


def cbor(value):
    """The shortest CBOR of numbers, bytes, texts, lists and maps."""

    def head(major, number):
        for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 24:
                return bytes([major << 5 | number])
            if number < 1 << (8 * size):
                return bytes([major << 5 | low]) + number.to_bytes(size, "big")
        raise OverflowError

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


def raw_frame(content, window, dictionary=None):
    """A frame of one block that is not compressed, with a window (RFC 8878, section 3.1.1.1.2)."""
    head = bytes([0x80 if dictionary is None else 0x81, window])
    head += b"" if dictionary is None else bytes([dictionary])
    block = struct.pack("<I", len(content) << 3 | 1)[:3] + content
    return b"\x28\xb5\x2f\xfd" + head + struct.pack("<I", len(content)) + block


def batch(columns=bytes(4), readings=0, **changed):
    fields = {
        0: 1, 1: "batch", 2: "plant-north", 3: STORE, 4: 2, 5: HASH, 6: HASH, 7: 1_795_293_200_000, 8: 2, 9: [],
        10: readings, 11: columns,
    }  # fmt: skip
    fields.update({int(key[1:]): value for key, value in changed.items()})
    return frame(cbor(fields))


def wrapped(number):
    """number modulo 2^64 as a signed number."""
    return (number + 2**63) % 2**64 - 2**63


def catalogue(tags, **changed):
    fields = {0: 1, 1: "catalogue", 2: "plant-north", 3: STORE, 4: 3, 5: 1_795_293_200_000, 6: tags}
    fields.update({int(key[1:]): value for key, value in changed.items()})
    return frame(cbor(fields))


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


T0 = 1_795_293_200_000
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


def replaced(at, data):
    return COLUMNS[:at] + data + COLUMNS[at + len(data) :]


WRONG = {
    "empty": b"",
    "no frame": b"forebay",
    "something behind the frame": batch() + b"\0",
    "a cut frame": batch(COLUMNS, 8)[:-3],
    "two frames": batch() + batch(),
    "a frame that is too large": bytes(131_073),
    "content that is too large": frame(bytes(2_097_153)),
    "no content size": zstandard.ZstdCompressor(write_content_size=False).compress(cbor({})),
    "something behind the map": frame(zstandard.decompress(batch()) + b"\0"),
    "a newer version": batch(_0=2),
    "another message": batch(_1="catalogue"),
    "no gateway": batch(_2=""),
    "a control character": batch(_2="a\nb"),
    "a short identity": batch(_3=bytes(15)),
    "number 0": batch(_4=0),
    "batch 1 with a predecessor": batch(_4=1),
    "an unknown clock": batch(_8=3),
    "an unknown loss": batch(_9=[[6, 1, 0, 0, 0, 0]]),
    "a loss of a later batch": batch(_9=[[1, 1, 0, 0, 2, 2]]),
    "a loss that ends before it begins": batch(_9=[[1, 1, 2, 1, 1, 1]]),
    "a number in a long form": frame(zstandard.decompress(batch()).replace(b"\x04\x02\x05", b"\x04\x18\x02\x05")),
    "no corrections in their place": batch(_12=[]),
    "too many corrections": batch(_12=[[1, 1, 0, 0, 0]] * 17),
    "a correction of batches to come": batch(_12=[[1, 3, 0, 0, 0]]),
    "a correction that ends before it begins": batch(_12=[[1, 1, 2, 1, 0]]),
    "a correction of batches that cannot be": batch(_12=[[1, 1 << 63, 0, 0, 0, b"another store id"]]),
    "a correction of another store that is the own": batch(_12=[[1, 1, 0, 0, 0, STORE]]),
    "a correction of a store of zeros": batch(_12=[[1, 1, 0, 0, 0, bytes(16)]]),
    "a correction of a store too short": batch(_12=[[1, 1, 0, 0, 0, b"short"]]),
    "a correction of seven members": batch(_12=[[1, 1, 0, 0, 0, b"another store id", 0]]),
    "a correction to a time out of bounds": batch(_12=[[1, 1, 0, 1, fb.TIME_MAX_MS]]),
    "more losses than may be": batch(_9=[[1, 1, 0, 0, 0, 0]] * 257),
    "a number of 64 bits": batch(_4=2**63),
    "a gateway's name of 64 bytes": batch(_2="g" * 64),
    "a time after 2200": batch(_7=fb.TIME_MAX_MS + 1),
    "more readings than may be": batch(
        bytes([1, 1]) + varint(65_537) + bytes([1, 0, 2, 0]) + zigzag(T0) + bytes(65_536)
        + (bytes([1, 0]) + varint(65_537)) * 2 + bytes(65_537), 65_537
    ),
    "more readings than there is room for": batch(
        bytes([1, 1]) + varint(65_536) + bytes([1, 0, 2, 56]) + zigzag(T0) + bytes(65_535)
        + (bytes([1, 0]) + varint(65_536)) * 2 + bytes(65_536), 65_536
    ),
    "more groups than there is room for": batch(varint(65_536) + varint(65_536) + bytes([1]), 65_536),
    "more tags than may be": catalogue([[i, "a", "b", "", 0] for i in range(1, 8194)]),
    "an instrument of 64 bytes": catalogue([[1, "i" * 64, "b", "", 0]]),
    "a tag's name of 64 bytes": catalogue([[1, "a", "n" * 64, "", 0]]),
    "a unit of 24 bytes": catalogue([[1, "a", "b", "u" * 24, 0]]),
    "a tag without a name": catalogue([[1, "a", "", "", 0]]),
    "a tag of an unknown kind": catalogue([[1, "a", "b", "", 5]]),
    "tag 0 in a catalogue": catalogue([[0, "a", "b", "", 0]]),
    "a tag twice": catalogue([[1, "a", "b", "", 0]] * 2),
    "tags that are not there": frame(zstandard.decompress(catalogue([]))[:-1] + b"\x99\x20\x00"),
    "a map with a key more": frame(b"\xae" + cbor({0: 0})[1:]),
    "fewer readings than told": batch(COLUMNS, 9),
    "more readings than told": batch(COLUMNS, 7),
    "columns that are cut": batch(COLUMNS[:-1], 8),
    "columns that go on": batch(COLUMNS + b"\0", 8),
    "an unknown encoding": batch(COLUMNS.replace(bytes([18, 1, 2, 0]), bytes([29, 1, 2, 0])), 8),
    "a decimal that is no integer of a double": numbers(16, 0, [2**54]),
    "a boolean 2": numbers(3, 0, [4]),
    "infinity": numbers(1, 0, [0x7F800000 << 1]),
    "NaN": numbers(0, 0, [0x7FF8 << 49]),
    "a real32 of 33 bits": numbers(1, 0, [1 << 32]),
    "low bits of more than 56": numbers(2, 57, [5]),
    "low bits that are filled up with ones": batch(
        COLUMNS.replace(LOW_BITS, LOW_BITS[:-1] + bytes([LOW_BITS[-1] | 128])), 8
    ),
    "a number of more than 64 bits": numbers(2, 56, [1 << 64]),
    "a later number of more than 64 bits": numbers(2, 1, [1, 1 << 64]),
    "a shape of texts": batch(
        bytes([1, 1, 1, 1, 0, 4, 1]) + zigzag(T0) + bytes([1, 0, 1, 1, 0, 1]) + bytes([1, 1, 65, 1, 0, 1]), 1
    ),
    "a shape of no numbers": batch(bytes([1, 1, 1, 1, 0, 2, 128]) + zigzag(T0) + bytes([1, 128, 1, 1, 0, 1]), 1),
    "tag 0": batch(bytes([1, 1, 1, 0, 0, 2, 0]) + zigzag(T0) + bytes([1, 0, 1, 1, 0, 1]) + zigzag(2), 1),
    "a time before 1970": batch(bytes([1, 1, 1, 1, 0, 2, 0]) + zigzag(-1) + bytes([1, 0, 1, 1, 0, 1]) + zigzag(2), 1),
    "a group that is not there": batch(replaced(9, bytes([4])), 8),
    "a group without a series": batch(
        bytes([2, 2, 1, 1, 1, 1, 0, 0, 2, 2, 0, 0]) + zigzag(T0) + zigzag(1) + bytes([1, 0, 2, 1, 0, 2, 2, 2]), 2
    ),
    "a window of 9 MiB": raw_frame(zstandard.decompress(batch(COLUMNS, 8)), 0x69),
    "a dictionary": raw_frame(zstandard.decompress(batch(COLUMNS, 8)), 0x68, dictionary=5),
    "more content than told": b"\x28\xb5\x2f\xfd" + b"\x20\x05" + b"\x53\x00\x00\xac" * 1000,
    "a control character in a text": texts(1, ["a\nb"], [(0, 1)]),
    "a text cut within a character": texts(1, [b"\xc3"], [(0, 1)]),
    "a surrogate": texts(1, [b"\xed\xa0\x80"], [(0, 1)]),
    "a text in a long form": texts(1, [b"\xc0\xaf"], [(0, 1)]),
    "a text of 64 bytes": texts(1, ["x" * 64], [(0, 1)]),
    "more texts than values": texts(1, ["a", "b"], [(0, 1)]),
    "no texts": texts(1, [], [(0, 1)]),
    "a text that is never used": texts(2, ["a", "b"], [(0, 2)]),
    "a text used too early": texts(2, ["a", "b"], [(1, 1), (0, 1)]),
    "a text that is not there": texts(2, ["a"], [(0, 1), (1, 1)]),
    "texts for too few values": texts(2, ["a"], [(0, 1)]),
    "texts for too many values": texts(2, ["a"], [(0, 3)]),
    "an empty run of texts": texts(2, ["a"], [(0, 2), (0, 0)]),
}

# The most of everything that is limited.
AT_LIMITS = {
    "losses": batch(_9=[[1, 2**63 - 1, 0, fb.TIME_MAX_MS, 0, 0]] * 256),
    "corrections": batch(_12=[[1, 2, 0, fb.TIME_MAX_MS, 0]] * 16),
    "names and numbers": batch(_2="g" * 63, _4=2**63 - 1, _7=fb.TIME_MAX_MS),
    "readings": batch(
        bytes([1, 1]) + varint(65_536) + bytes([1, 0, 2, 56]) + zigzag(T0) + bytes(65_535)
        + (bytes([1, 0]) + varint(65_536)) * 2 + bytes(7 * 65_536 + 65_536), 65_536
    ),
    "the largest number": numbers(2, 56, [2**64 - 1] * 3),
    "a text": texts(1, ["x" * 63], [(0, 1)]),
    "tags": catalogue([[i + 2**32 - 8192, "i", "n", "u" * 23, i % 5] for i in range(8192)]),
    "names of tags": catalogue([[1, "i" * 63, "n" * 63, "", 0]], _4=2**63 - 1),
}  # fmt: skip


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
