"""The decoder, against messages built by hand from docs/batch.md and against the vectors in tests/data/batch."""

import json
import math
import pathlib
import struct

import forebay_batch as fb
import pytest
import zstandard

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "data" / "batch"
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


def batch(columns=bytes(4), readings=0, **changed):
    fields = {
        0: 1, 1: "batch", 2: "plant-north", 3: STORE, 4: 2, 5: HASH, 6: HASH, 7: 1_795_293_200_000, 8: 2, 9: [],
        10: readings, 11: columns,
    }  # fmt: skip
    fields.update({int(key[1:]): value for key, value in changed.items()})
    return frame(cbor(fields))


def planes(steps, width):
    """Value parts B and C: steps as zigzags of width bytes, plane after plane."""
    bits, data = 8 * width, []
    for step in steps:
        step = (step + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
        data.append(((step << 1) ^ (step >> (bits - 1))) % 2**bits)
    return b"".join(bytes(one >> (8 * plane) & 255 for one in data) for plane in range(width))


def ordered(value, width):
    """The ordered form of a float."""
    bits = int.from_bytes(struct.pack(">f" if width == 4 else ">d", value), "big", signed=True)
    return bits if bits >= 0 else bits ^ (2 ** (8 * width - 1) - 1)


T0 = 1_795_293_200_000
# Two series over one group of three times (T0, +1000, +2001), two over a group of one time.
COLUMNS = b"".join([
    varint(2), varint(4),
    varint(3), varint(1),  # group sizes
    varint(5), varint(2), varint(300), varint(0),  # tags 5, 7, 307, 307
    zigzag(0), zigzag(0), zigzag(1), zigzag(0),  # groups 0, 0, 1, 1
    bytes([18, 1, 2, 0]),  # decimal with two places, real32 bits, integer, real64 bits
    zigzag(T0), zigzag(500),
    zigzag(1000), zigzag(1),
    varint(3), bytes([0, 130, 0]), varint(1), varint(1), varint(6),  # qualities: good, exception, good ...
    varint(3), varint(0), varint(2), varint(0), varint(1), varint(1), varint(6),  # details
    zigzag(7), zigzag(-9), zigzag(2 - 7),  # values A: first of 5, first of 307, then the rest of 5
    planes([ordered(1.5, 4), 0, ordered(-2.0, 4) - ordered(1.5, 4)], 4),
    planes([ordered(-math.pi, 8)], 8),
])  # fmt: skip
READINGS = [
    fb.Reading(5, "real64", T0, 0, 0, 0.07), fb.Reading(5, "real64", T0 + 1000, 130, 2, None),
    fb.Reading(5, "real64", T0 + 2001, 0, 0, 0.02), fb.Reading(7, "real32", T0, 0, 0, 1.5),
    fb.Reading(7, "real32", T0 + 1000, 0, 0, 1.5), fb.Reading(7, "real32", T0 + 2001, 0, 0, -2.0),
    fb.Reading(307, "integer", T0 + 500, 0, 0, -9), fb.Reading(307, "real64", T0 + 500, 0, 0, -math.pi),
]  # fmt: skip


def test_a_batch_made_by_hand():
    decoded = fb.decode_batch(batch(COLUMNS, 8))
    assert decoded.readings == READINGS
    assert (decoded.gateway, decoded.store, decoded.number, decoded.clock) == ("plant-north", STORE, 2, 2)


def test_a_batch_of_losses_alone():
    losses = [[1, 500, T0, T0 + 9, 1, 1], [3, 0, T0, T0, 0, 0]]
    assert fb.decode_batch(batch(_9=losses)).losses == [fb.Loss(*one) for one in losses]


def test_integers_wrap():
    columns = bytes([1, 1, 2, 1, 0, 2]) + zigzag(T0) + zigzag(1) + bytes([1, 0, 2, 1, 0, 2])
    columns += zigzag(2**63 - 1) + zigzag(1)
    assert [one.value for one in fb.decode_batch(batch(columns, 2)).readings] == [2**63 - 1, -(2**63)]


def test_a_catalogue():
    tags = [[1, "a", "flow", "m³/h", 0], [9, "b", "on", "", 3]]
    decoded = fb.decode_catalogue(frame(cbor({0: 1, 1: "catalogue", 2: "p", 3: STORE, 4: 3, 5: T0, 6: tags})))
    kinds = ("real64", "boolean")
    assert decoded.tags == [fb.CatalogueTag(*tag[:4], kind) for tag, kind in zip(tags, kinds)]


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
    "an unknown loss": batch(_9=[[5, 1, 0, 0, 0, 0]]),
    "a loss of a later batch": batch(_9=[[1, 1, 0, 0, 2, 2]]),
    "a loss that ends before it begins": batch(_9=[[1, 1, 2, 1, 1, 1]]),
    "a number in a long form": frame(zstandard.decompress(batch()).replace(b"\x04\x02\x05", b"\x04\x18\x02\x05")),
    "fewer readings than told": batch(COLUMNS, 9),
    "more readings than told": batch(COLUMNS, 7),
    "columns that are cut": batch(COLUMNS[:-1], 8),
    "columns that go on": batch(COLUMNS + b"\0", 8),
    "an unknown encoding": batch(COLUMNS.replace(bytes([18, 1, 2, 0]), bytes([29, 1, 2, 0])), 8),
    "a decimal that is no integer of a double": batch(
        bytes([1, 1, 1, 1, 0, 16]) + zigzag(T0) + bytes([1, 0, 1, 1, 0, 1]) + zigzag(2**53), 1
    ),
    "a boolean 2": batch(bytes([1, 1, 1, 1, 0, 3]) + zigzag(T0) + bytes([1, 0, 1, 1, 0, 1]) + zigzag(2), 1),
    "infinity": batch(
        bytes([1, 1, 1, 1, 0, 1]) + zigzag(T0) + bytes([1, 0, 1, 1, 0, 1]) + planes([0x7F800000], 4), 1
    ),
    "tag 0": batch(bytes([1, 1, 1, 0, 0, 2]) + zigzag(T0) + bytes([1, 0, 1, 1, 0, 1]) + zigzag(2), 1),
    "a time before 1970": batch(bytes([1, 1, 1, 1, 0, 2]) + zigzag(-1) + bytes([1, 0, 1, 1, 0, 1]) + zigzag(2), 1),
    "a group that is not there": batch(replaced(9, bytes([4])), 8),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_breaks_a_rule_is_refused(what):
    with pytest.raises(fb.Invalid):
        fb.decode_batch(WRONG[what])


BITS = {"real64": ">d", "real32": ">f", "integer": ">q", "boolean": ">?"}


def as_vector(reading):
    """A reading in the words of the vectors' JSON: the value as the bits of its kind, in 16 hexadecimal digits."""
    bits = None if reading.value is None else struct.pack(BITS[reading.kind], reading.value).hex().zfill(16)
    return [reading.tag, fb.KINDS.index(reading.kind), reading.time_ms, reading.quality, reading.detail, bits]


def vector_of(path):
    return path.read_bytes(), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def test_there_are_vectors_of_both_messages():
    messages = {vector_of(path)[1]["message"] for path in VECTORS.glob("*.bin")}
    assert messages == {"batch", "catalogue"}


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.bin")), ids=lambda path: path.stem)
def test_vectors(path):
    """The gateway's own encoder made these files and says what they hold."""
    data, wanted = vector_of(path)
    decoded = fb.decode(data)
    assert fb.sha256(data).hex() == wanted["hash"]
    assert (decoded.gateway, decoded.store.hex()) == (wanted["gateway"], wanted["store"])
    if wanted["message"] == "catalogue":
        tags = [[tag.number, tag.instrument, tag.name, tag.unit, fb.KINDS.index(tag.kind)] for tag in decoded.tags]
        assert (decoded.revision, decoded.made_ms, tags) == (wanted["revision"], wanted["made"], wanted["tags"])
        return
    head = [decoded.number, decoded.previous.hex(), decoded.catalogue.hex(), decoded.sealed_ms, decoded.clock]
    assert head == [wanted[key] for key in ("number", "previous", "catalogue", "sealed", "clock")]
    assert [list(vars(loss).values()) for loss in decoded.losses] == wanted["losses"]
    assert [as_vector(reading) for reading in decoded.readings] == wanted["readings"]
