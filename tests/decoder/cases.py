"""What decoders must refuse, a message or more for each rule of docs/batch.md that breaks this rule and, where that can be,
no other; and what they must take, though it is just within a limit."""

import struct

import forebay_batch as fb
import zstandard
from handmade import (
    COLUMNS, HASH, LOW_BITS, STORE, T0, Raw, batch, batch_content, catalogue, cbor, distances, frame, numbers, parts,
    qualities, raw_frame, runs, texts, varint, zigzag,
)  # fmt: skip

OTHER = b"another store id"
SOUND = batch_content(COLUMNS, 8)
TAG = [1, "a", "b", "", 0]
UNKNOWN_ENCODINGS = (5, 15, 29, 31, 45, 48, 127, 128, 255)


def replaced(at, data):
    return COLUMNS[:at] + data + COLUMNS[at + len(data) :]


def checksummed(content):
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(content)


def reserved_bit(data):
    return data[:4] + bytes([data[4] | 8]) + data[5:]


def skippable(data):
    return struct.pack("<II", 0x184D2A50, len(data)) + data


def integers(count, numbers_part):
    """A batch of so many integers of one tag."""
    steps = bytes(count - 1)
    both = {"qualities": qualities((0, count)), "details": runs((0, count))}
    return parts(count, sizes=varint(count), steps=steps, high=numbers_part, **both)


def frame_of(length):
    """A sound batch whose frame has so many bytes, which are not compressed."""
    count = 60_000
    one = b"".join([zigzag(1)] * count)
    spare = length - len(raw_frame(zstandard.decompress(integers(count, one)), 0x68))
    content = zstandard.decompress(integers(count, varint(200) * spare + one[spare:]))
    return raw_frame(content, 0x68)


def content_of(length):
    """A sound batch whose content has so many bytes: of texts, all the same but for their lengths."""
    count = 31_800

    def made(spare):
        words = ["x" * 60] * (count - spare) + ["x" * 61] * spare
        return zstandard.decompress(texts(count, words, [(i, 1) for i in range(count)]))

    data = made(length - len(made(0)))
    assert len(data) == length
    return frame(data)


def catalogue_of(length):
    """A sound catalogue whose frame has so many bytes, which are not compressed."""
    tags = [[i + 300, "i" * 63, "n" * 63, "", 0] for i in range(950)]
    spare = length - len(raw_frame(zstandard.decompress(catalogue(tags)), 0x68))
    for tag in tags:
        tag[3] = "u" * min(spare, 23)
        spare -= len(tag[3])
    return raw_frame(zstandard.decompress(catalogue(tags)), 0x68)


def two_groups(second_time, group_of_second):
    """Two readings of two tags, each group of one time."""
    return parts(
        groups=varint(2), series=varint(2), sizes=varint(1) * 2, tags=varint(1) * 2, encodings=b"\2\2", shapes=bytes(2),
        indexes=zigzag(0) + zigzag(group_of_second), first=zigzag(T0) + zigzag(second_time), steps=b"",
    )  # fmt: skip


def two_series(tag_step):
    """Two integers, each a series, that share their group."""
    return parts(
        series=varint(2), sizes=varint(1), tags=varint(1) + varint(tag_step), indexes=zigzag(0) * 2, encodings=b"\2\2",
        shapes=bytes(2), steps=b"",
    )  # fmt: skip


def one(encoding, m):
    """A batch of one value, whose number is m."""
    return numbers(encoding, 0, distances([m]))


FRAMES = {
    "empty": b"",
    "no frame": b"forebay",
    "something behind the frame": batch() + b"\0",
    "a cut frame": batch(COLUMNS, 8)[:-3],
    "two frames": batch() + batch(),
    "a frame to be skipped": skippable(b"nothing"),
    "a frame behind one to be skipped": skippable(b"nothing") + batch(),
    "a frame before one to be skipped": batch() + skippable(b"nothing"),
    "a frame that is too large": frame_of(131_073),
    "content that is too large": content_of(2_097_153),
    "no content": frame(b""),
    "no content size": zstandard.ZstdCompressor(write_content_size=False).compress(SOUND),
    "more content than told": b"\x28\xb5\x2f\xfd" + b"\x20\x05" + b"\x53\x00\x00\xac" * 1000,
    "a wrong checksum": checksummed(SOUND)[:-1] + bytes([checksummed(SOUND)[-1] ^ 1]),
    "a reserved bit": reserved_bit(raw_frame(SOUND, 0x68)),
    "a window of 9 MiB": raw_frame(SOUND, 0x69),
    "a dictionary": raw_frame(SOUND, 0x68, dictionary=5),
    "a reserved kind of block": raw_frame(SOUND, 0x68, block=3),
}

# Numbers told in more bytes than they need, the greatest for each length.
LONG_NUMBERS = {"23 in a byte": b"\x18\x17", "255 in two": b"\x19\x00\xff", "65535 in four": b"\x1a\x00\x00\xff\xff"}
LONG_NUMBERS["2^32 - 1 in eight"] = b"\x1b" + bytes(4) + b"\xff" * 4

LONG_FORMS = {
    "a map": (b"\xac\x00", b"\xb8\x0c\x00"),
    "a number": (b"\x04\x02\x05", b"\x04\x1b" + bytes(7) + b"\x02\x05"),
    "a key": (b"\x04\x02\x05", b"\x18\x04\x02\x05"),
    "a text": (b"\x65batch", b"\x78\x05batch"),
    "bytes": (b"\x03\x50", b"\x03\x58\x10"),
    "an array": (b"\x09\x80", b"\x09\x98\x00"),
}

OTHER_CBOR = {
    "an indefinite map": frame(b"\xbf" + batch_content()[1:] + b"\xff"),
    "an indefinite text": batch(_2=Raw(b"\x7f\x61p\xff")),
    "indefinite bytes": batch(_3=Raw(b"\x5f\x50" + STORE + b"\xff")),
    "an indefinite array": batch(_9=Raw(b"\x9f\xff")),
    "a tag of CBOR": batch(_7=Raw(b"\xc1" + cbor(T0))),
    "a float": batch(_8=Raw(b"\xf9\x40\x00")),
    "null": batch(_8=Raw(b"\xf6")),
    "a boolean of CBOR": batch(_8=Raw(b"\xf5")),
    "a negative number": batch(_8=Raw(b"\x20")),
    "a reserved length": batch(_8=Raw(b"\x1c")),
    "a text where bytes are due": batch(_3="x" * 16),
    "bytes where a text is due": batch(_2=b"plant-north"),
    "something behind the map": frame(batch_content() + b"\0"),
    "an array around it": frame(b"\x81" + batch_content()),
    "a map with a key more": batch(_12=[[1, 1, 0, 0, 0]], _13=0),
    "a map with a key less": batch(_11=None),
    "a map that tells a key more": frame(b"\xad" + batch_content()[1:]),
    "a map that tells a key less": frame(b"\xac" + batch_content(_12=[[1, 1, 0, 0, 0]])[1:]),
    "a map that tells two keys more": frame(b"\xae" + batch_content()[1:]),
    "a map that tells two keys less": frame(b"\xab" + batch_content(_12=[[1, 1, 0, 0, 0]])[1:]),
    "corrections in the columns' place": batch(_11=None, _12=[[1, 1, 0, 0, 0]]),
    "keys in another order": frame(SOUND.replace(b"\x07" + cbor(T0) + b"\x08\x02", b"\x08\x02\x07" + cbor(T0))),
    "a key twice": frame(SOUND.replace(b"\x08\x02\x09", b"\x07\x02\x09")),
}

ENVELOPES = {
    "a newer version": batch(_0=2),
    "version 0": batch(_0=0),
    "another message": batch(_1="catalogue"),
    "no gateway": batch(_2=""),
    "a gateway's name of 64 bytes": batch(_2="g" * 64),
    "a control character": batch(_2="a\nb"),
    "the last control character of one byte": batch(_2="a\x1fb"),
    "DEL": batch(_2="a\x7fb"),
    "a control character of two bytes": batch(_2="a\x9fb"),
    "a name that is not UTF-8": batch(_2=Raw(b"\x62\xc3\x28")),
    "a short identity": batch(_3=bytes(15)),
    "a long identity": batch(_3=bytes(17)),
    "number 0": batch(_4=0),
    "a number of 64 bits": batch(_4=2**63),
    "batch 1 with a predecessor": batch(_4=1),
    "a short hash of the batch before": batch(_5=HASH[1:]),
    "a long hash of the batch before": batch(_5=HASH + b"\0"),
    "a short hash of the catalogue": batch(_6=HASH[1:]),
    "a time after 2200": batch(_7=fb.TIME_MAX_MS + 1),
    "an unknown clock": batch(_8=3),
    "more readings than may be": integers(65_537, bytes(65_537)),
    "readings without columns": batch(readings=1),
}

LOSSES = {
    "loss 0": [0, 1, 0, 0, 0, 0],
    "an unknown loss": [6, 1, 0, 0, 0, 0],
    "a loss of this batch": [1, 1, 0, 0, 2, 2],
    "a loss up to this batch": [1, 1, 0, 0, 1, 2],
    "a loss of batches from 0 on": [1, 1, 0, 0, 0, 1],
    "a loss of batches to 0": [1, 1, 0, 0, 1, 0],
    "a loss that ends before it begins": [1, 1, 2, 1, 1, 1],
    "a loss after 2200": [1, 1, 0, fb.TIME_MAX_MS + 1, 0, 0],
    "a loss of too many readings": [1, 2**63, 0, 0, 0, 0],
    "a loss of five members": [1, 1, 0, 0, 0],
    "a loss of seven members": [1, 1, 0, 0, 0, 0, 0],
}

CORRECTIONS = {
    "a correction of batches to come": [1, 3, 0, 0, 0],
    "a correction of batch 0": [0, 1, 0, 0, 0],
    "a correction of batches that end before they begin": [2, 1, 0, 0, 0],
    "a correction that ends before it begins": [1, 1, 2, 1, 0],
    "a correction of times after 2200": [1, 1, 0, fb.TIME_MAX_MS + 1, 0],
    "a correction to a time out of bounds": [1, 1, 0, 1, fb.TIME_MAX_MS],
    "a correction of batches that cannot be": [1, 1 << 63, 0, 0, 0, OTHER],
    "a correction of batch 0 elsewhere": [0, 1, 0, 0, 0, OTHER],
    "a correction of batches elsewhere that end before they begin": [2, 1, 0, 0, 0, OTHER],
    "a correction elsewhere to a time out of bounds": [1, 1, 0, 1, fb.TIME_MAX_MS, OTHER],
    "a correction of another store that is the own": [1, 1, 0, 0, 0, STORE],
    "a correction of a store of zeros": [1, 1, 0, 0, 0, bytes(16)],
    "a correction of a store too short": [1, 1, 0, 0, 0, b"short"],
    "a correction of four members": [1, 1, 0, 0],
    "a correction of seven members": [1, 1, 0, 0, 0, OTHER, 0],
}

GROUPS_AND_SERIES = {
    "fewer readings than told": batch(COLUMNS, 9),
    "more readings than told": batch(COLUMNS, 7),
    "columns that are cut": batch(COLUMNS[:-1], 8),
    "columns that go on": batch(COLUMNS + b"\0", 8),
    "no columns": batch(b""),
    "columns of nothing that are cut": batch(bytes(3)),
    "columns of nothing that go on": batch(bytes(5)),
    "more groups than series": parts(groups=varint(2), sizes=varint(1) * 2, first=zigzag(T0) * 2, steps=b""),
    "more series than readings": parts(series=varint(3), tags=varint(1) * 3, indexes=zigzag(0) * 3, shapes=bytes(3)),
    "an empty group": parts(
        groups=varint(2), series=varint(2), sizes=varint(2) + varint(0), tags=varint(1) * 2, encodings=b"\2\2",
        shapes=bytes(2), indexes=zigzag(0) + zigzag(1), first=zigzag(T0) + zigzag(0),
    ),
    "groups larger than the batch": parts(1, sizes=varint(2), qualities=qualities((0, 1)), details=runs((0, 1))),
    "series larger than the batch": parts(
        series=varint(2), tags=varint(1) * 2, indexes=zigzag(0) * 2, encodings=b"\2\2", shapes=bytes(2)
    ),
    "a group without a series": batch(
        bytes([2, 2, 1, 1, 1, 1, 0, 0, 2, 2, 0, 0]) + zigzag(T0) + zigzag(1) + bytes([1, 0, 2, 1, 0, 2, 2, 2]), 2
    ),
    "a group that is not there": batch(replaced(9, bytes([4])), 8),
    "a group below the first": two_groups(0, -1),
    "more groups than there is room for": batch(varint(65_536) + varint(65_536) + bytes([1]), 65_536),
    "tag 0": parts(tags=varint(0)),
    "a tag of 33 bits": parts(tags=varint(2**32)),
    "tags that add up to 33 bits": two_series(2**32 - 1),
    "a varint in a long form": parts(tags=b"\x81\x00"),
    "a varint of 65 bits": parts(tags=b"\x81" + b"\x80" * 8 + b"\x02"),
    "a varint of 11 bytes": parts(tags=b"\x81" + b"\x80" * 9 + b"\x01"),
    "a varint of 11 bytes that ends in zero": parts(tags=b"\x81" + b"\x80" * 9 + b"\x00"),
    "low bits of more than 56": numbers(2, 57, [5]),
    "a shape of texts": batch(
        bytes([1, 1, 1, 1, 0, 4, 1]) + zigzag(T0) + bytes([1, 0, 1, 1, 0, 1]) + bytes([1, 1, 65, 1, 0, 1]), 1
    ),
    "a shape of no numbers": parts(shapes=b"\x80", qualities=qualities((128, 2)), high=b""),
    "a width of no numbers": parts(shapes=b"\x07", qualities=qualities((128, 2)), high=b""),
}  # fmt: skip

TIMES_AND_RUNS = {
    "a time before 1970": parts(first=zigzag(-1)),
    "a first time after 2200": parts(first=zigzag(fb.TIME_MAX_MS + 1)),
    "a second time before 1970": parts(first=zigzag(0), steps=zigzag(-1)),
    "a second time after 2200": parts(first=zigzag(fb.TIME_MAX_MS), steps=zigzag(1)),
    "a time far out of bounds": parts(first=zigzag(2**63 - 1)),
    "a step far out of bounds": parts(steps=zigzag(-(2**63))),
    "a time of another group before 1970": two_groups(-T0 - 1, 1),
    "no run of qualities": parts(qualities=qualities()),
    "an empty run of qualities": parts(qualities=qualities((0, 2), (1, 0))),
    "qualities of too few readings": parts(qualities=qualities((0, 1))),
    "qualities of too many readings": parts(qualities=qualities((0, 3))),
    "more runs of qualities than readings": parts(qualities=qualities((0, 1), (0, 1), (0, 1))),
    "no run of details": parts(details=runs()),
    "an empty run of details": parts(details=runs((0, 2), (1, 0))),
    "details of too few readings": parts(details=runs((0, 1))),
    "details of too many readings": parts(details=runs((0, 3))),
    "a detail of 17 bits": parts(details=runs((65_536, 2))),
}

VALUES = {
    **{f"encoding {code}": parts(encodings=bytes([code])) for code in UNKNOWN_ENCODINGS},
    **{f"2^53 in encoding {code}": one(code, 2**53) for code in (16, 28, 32, 44)},
    **{f"-2^53 in encoding {code}": one(code, -(2**53)) for code in (16, 28, 32, 44)},
    "a boolean 2": one(3, 2),
    "a boolean -1": one(3, -1),
    "infinity": one(1, 0x7F800000),
    "minus infinity": one(1, -(2**31) + 0x7FFFFF),
    "infinity in 64 bits": one(0, 0x7FF << 52),
    "minus infinity in 64 bits": one(0, -(2**63) + (1 << 52) - 1),
    "NaN": one(0, 0x7FF8 << 48),
    "NaN of 32 bits": one(1, 0x7FC00000),
    "the least number of 64 bits, a NaN": one(0, -(2**63)),
    "a real32 of 33 bits": one(1, 1 << 31),
    "a negative real32 of 33 bits": one(1, -(1 << 31) - 1),
    "low bits that are filled up with ones": batch(
        COLUMNS.replace(LOW_BITS, LOW_BITS[:-1] + bytes([LOW_BITS[-1] | 128])), 8
    ),
    "more low bits than there is room for": parts(shapes=b"\x38", high=bytes(2)),
    "a number of more than 64 bits": numbers(2, 56, [1 << 64]),
    "a later number of more than 64 bits": numbers(2, 1, [1, 1 << 64]),
    "numbers that are cut": parts(high=zigzag(5)),
    "more readings than there is room for": batch(
        bytes([1, 1]) + varint(65_536) + bytes([1, 0, 2, 56]) + zigzag(T0) + bytes(65_535)
        + (bytes([1, 0]) + varint(65_536)) * 2 + bytes(65_536), 65_536
    ),
}  # fmt: skip

TEXTS = {
    "a control character in a text": texts(1, ["a\nb"], [(0, 1)]),
    "a control character of two bytes in a text": texts(1, ["\x80"], [(0, 1)]),
    "a text cut within a character": texts(1, [b"\xc3"], [(0, 1)]),
    "a character over two texts": texts(2, [b"\xc3", b"\xa4"], [(0, 1), (1, 1)]),
    "a surrogate": texts(1, [b"\xed\xa0\x80"], [(0, 1)]),
    "a character that Unicode does not have": texts(1, [b"\xf4\x90\x80\x80"], [(0, 1)]),
    "a text in a long form": texts(1, [b"\xc0\xaf"], [(0, 1)]),
    "a text of 64 bytes": texts(1, ["x" * 64], [(0, 1)]),
    "more texts than values": texts(1, ["a", "b"], [(0, 1)]),
    "no texts": texts(1, [], [(0, 1)]),
    "no runs of texts": texts(1, ["a"], []),
    "more runs of texts than values": texts(1, ["a"], [(0, 1), (0, 1)]),
    "a text that is never used": texts(2, ["a", "b"], [(0, 2)]),
    "a text used too early": texts(2, ["a", "b"], [(1, 1), (0, 1)]),
    "a text used too early, and again": texts(3, ["a", "b"], [(1, 1), (0, 1), (1, 1)]),
    "a text that is not there": texts(2, ["a"], [(0, 1), (1, 1)]),
    "a text far from there": texts(2, ["a"], [(0, 1), (7, 1)]),
    "texts for too few values": texts(2, ["a"], [(0, 1)]),
    "texts for too many values": texts(2, ["a"], [(0, 3)]),
    "an empty run of texts": texts(2, ["a"], [(0, 2), (0, 0)]),
    "texts of a series without a value": batch(
        bytes([1, 1, 1, 1, 0, 4, 0]) + zigzag(T0) + bytes([1, 128, 1, 1, 0, 1]) + bytes([1, 1, 65, 1, 0, 1]), 1
    ),
}

CATALOGUES = {
    "a catalogue that is too large": catalogue_of(131_073),
    "a newer catalogue": catalogue([], _0=2),
    "a catalogue that is none": catalogue([], _1="catalog"),
    "a catalogue of no gateway": catalogue([], _2=""),
    "a catalogue of a long gateway": catalogue([], _2="g" * 64),
    "a catalogue of a short identity": catalogue([], _3=STORE[1:]),
    "revision 0": catalogue([], _4=0),
    "a revision of 64 bits": catalogue([], _4=2**63),
    "a catalogue after 2200": catalogue([], _5=fb.TIME_MAX_MS + 1),
    "a catalogue with a key more": catalogue([], _7=0),
    "a catalogue with a key less": catalogue(None),
    "something behind the catalogue": frame(zstandard.decompress(catalogue([])) + b"\0"),
    "more tags than may be": catalogue([[i, "a", "b", "", 0] for i in range(1, 8194)]),
    "tags that are not there": frame(zstandard.decompress(catalogue([]))[:-1] + b"\x99\x20\x00"),
    "tag 0 in a catalogue": catalogue([[0, "a", "b", "", 0]]),
    "a tag of 33 bits in a catalogue": catalogue([[2**32, "a", "b", "", 0]]),
    "a tag twice": catalogue([TAG] * 2),
    "tags in another order": catalogue([[2, "a", "b", "", 0], TAG]),
    "a tag of four members": catalogue([TAG[:4]]),
    "a tag of six members": catalogue([[*TAG, 0]]),
    "a tag without an instrument": catalogue([[1, "", "b", "", 0]]),
    "a tag without a name": catalogue([[1, "a", "", "", 0]]),
    "an instrument of 64 bytes": catalogue([[1, "i" * 64, "b", "", 0]]),
    "a tag's name of 64 bytes": catalogue([[1, "a", "n" * 64, "", 0]]),
    "a unit of 24 bytes": catalogue([[1, "a", "b", "u" * 24, 0]]),
    "a control character in a unit": catalogue([[1, "a", "b", "\x1b", 0]]),
    "a tag of an unknown kind": catalogue([[1, "a", "b", "", 5]]),
}

WRONG = {
    **FRAMES,
    **{f"{what} in a long form": frame(batch_content().replace(*forms)) for what, forms in LONG_FORMS.items()},
    **{what: batch(_4=Raw(number)) for what, number in LONG_NUMBERS.items()},
    **OTHER_CBOR,
    **ENVELOPES,
    **{what: batch(_9=[loss]) for what, loss in LOSSES.items()},
    "more losses than may be": batch(_9=[[1, 1, 0, 0, 0, 0]] * 257),
    **{what: batch(_12=[correction]) for what, correction in CORRECTIONS.items()},
    "no corrections in their place": batch(_12=[]),
    "too many corrections": batch(_12=[[1, 1, 0, 0, 0]] * 17),
    **GROUPS_AND_SERIES,
    **TIMES_AND_RUNS,
    **VALUES,
    **TEXTS,
    **CATALOGUES,
}

# What only who decompresses can see.
OF_ZSTD = {"more content than told", "a wrong checksum"}

NEWER = {
    "a batch": batch(_0=2),
    "a batch of more keys": batch(_0=3, _12=[], _13=0),
    "a catalogue": catalogue([], _0=2),
    "another message": frame(cbor({0: 2, 1: "tidings"})),
    "the last version": batch(_0=2**64 - 1),
}

# The most of everything that is limited, and what only looks wrong.
AT_LIMITS = {
    "a frame": frame_of(131_072),
    "content": content_of(2_097_152),
    "a window": raw_frame(SOUND, 0x68),
    "no checksum": frame(SOUND),
    "a checksum": checksummed(SOUND),
    "batch 1": batch(_4=1, _5=bytes(32)),
    "losses": batch(_9=[[1, 2**63 - 1, 0, fb.TIME_MAX_MS, 0, 0]] * 256),
    "a loss of the batch before": batch(_9=[[5, 0, 0, 0, 1, 1]]),
    "corrections": batch(_12=[[1, 2, 0, fb.TIME_MAX_MS, 0]] * 16),
    "a correction elsewhere": batch(_12=[[1, 2**63 - 1, 1, fb.TIME_MAX_MS, 1, OTHER]]),
    **{f"number {number}": batch(_4=number) for number in (23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32)},
    "a name of one byte, a time of 0": batch(_2="g", _7=0),
    "names and numbers": batch(_2="g" * 63, _4=2**63 - 1, _7=fb.TIME_MAX_MS),
    "characters": batch(_2="\ufeff ~\xa0\ud7ff\ue000\uffff\U0010ffff"),
    "readings": batch(
        bytes([1, 1]) + varint(65_536) + bytes([1, 0, 2, 56]) + zigzag(T0) + bytes(65_535)
        + (bytes([1, 0]) + varint(65_536)) * 2 + bytes(7 * 65_536 + 65_536), 65_536
    ),
    "times": parts(first=zigzag(0), steps=zigzag(fb.TIME_MAX_MS)),
    "times that go back": parts(first=zigzag(fb.TIME_MAX_MS), steps=zigzag(-fb.TIME_MAX_MS)),
    "the greatest tag": two_series(2**32 - 2),
    "groups of the same time": two_groups(0, 1),
    "series of one tag and kind": two_series(0),
    "runs of the same": parts(qualities=qualities((0, 1), (0, 1)), details=runs((9, 1), (9, 1))),
    "the greatest detail": parts(details=runs((65_535, 2))),
    "unknown qualities": parts(qualities=qualities((63, 1), (127, 1))),
    "qualities of class 3": parts(qualities=qualities((192, 1), (255, 1)), high=b""),
    **{f"decimals of encoding {code}": numbers(code, 0, distances([2**53 - 1, 1 - 2**53, 0, 1])) for code in (
        *range(16, 29), *range(32, 45))},
    "the greatest numbers": numbers(0, 0, distances([0x7FEF_FFFF_FFFF_FFFF, -(2**63) + (1 << 52), 0, -1, 1])),
    "the greatest numbers of 32 bits": numbers(1, 0, distances([0x7F7F_FFFF, -(2**31) + (1 << 23), 0, -1, 1])),
    "the greatest distance": numbers(2, 56, [2**64 - 1] * 3),
    "the greatest varint": numbers(2, 0, [2**64 - 1] * 3),
    "booleans": numbers(3, 0, distances([0, 1, 1, 0])),
    "a text": texts(1, ["x" * 63], [(0, 1)]),
    "an empty text": texts(1, [""], [(0, 1)]),
    "a text twice in the dictionary": texts(2, ["x", "x"], [(0, 1), (1, 1)]),
    "runs of one text": texts(2, ["x"], [(0, 1), (0, 1)]),
    "a catalogue's frame": catalogue_of(131_072),
    "the first catalogue": catalogue([], _2="g", _4=1, _5=0),
    "tags": catalogue([[i + 2**32 - 8192, "i", "n", "u" * 23, i % 5] for i in range(8192)]),
    "names of tags": catalogue([[1, "i" * 63, "n" * 63, "", 0]], _4=2**63 - 1),
    "one name for two tags": catalogue([TAG, [2, *TAG[1:]]]),
}  # fmt: skip
