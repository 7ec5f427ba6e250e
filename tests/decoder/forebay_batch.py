#!/usr/bin/python3
"""Decodes Forebay's batches and catalogues, written from docs/batch.md alone. Checks every rule and limit of that page.

    forebay_batch.py FILE...    prints each file (a batch or a catalogue) as JSON"""

import dataclasses
import hashlib
import json
import math
import struct
import sys

import zstandard

FRAME_BYTES_MAX = 131_072
CONTENT_BYTES_MAX = 2_097_152
READINGS_MAX = 65_536
WINDOW_MAX = 8_388_608
LOSSES_MAX = 256
CORRECTIONS_MAX = 16
TEXT_MAX = 63
TAGS_MAX = 8192
TIME_MAX_MS = 7_258_118_400_000
NUMBER_END = 2**63
TAG_MAX = 4_294_967_295
DETAIL_MAX = 65_535
LOSS_REASONS = {1: "quota", 2: "store full", 3: "core away", 4: "damaged", 5: "thinned"}
KINDS = ("real64", "real32", "integer", "boolean", "text")
QUALITY_CLASSES = ("good", "uncertain", "bad", "bad")
QUALITY_REASONS = {
    0: "", 64: "stale", 65: "below range", 66: "above range", 67: "clock not set", 68: "maintenance", 128: "timeout",
    129: "not connected", 130: "exception", 131: "bad reply", 132: "not a number", 133: "no value",
    134: "instrument fault", 135: "stale heartbeat", 136: "not running",
}  # fmt: skip


class Invalid(ValueError):
    """The message breaks a rule of docs/batch.md."""


@dataclasses.dataclass
class Loss:
    reason: int
    readings: int
    from_ms: int
    to_ms: int
    first_batch: int
    last_batch: int


@dataclasses.dataclass
class Correction:
    first_batch: int
    last_batch: int
    from_ms: int
    to_ms: int
    right_ms: int
    store: bytes = None  # whose batches; None: those of the batch's own store


@dataclasses.dataclass
class Reading:
    tag: int
    kind: str
    time_ms: int
    quality: int
    detail: int
    value: object  # float, int, bool or str; None when the quality's class is bad


@dataclasses.dataclass
class Batch:
    gateway: str
    store: bytes
    number: int
    previous: bytes
    catalogue: bytes
    sealed_ms: int
    clock: int
    losses: list
    readings: list
    corrections: list


@dataclasses.dataclass
class CatalogueTag:
    number: int
    instrument: str
    name: str
    unit: str
    kind: str


@dataclasses.dataclass
class Catalogue:
    gateway: str
    store: bytes
    revision: int
    made_ms: int
    tags: list


def check(condition, what):
    if not condition:
        raise Invalid(what)


def sha256(data):
    return hashlib.sha256(data).digest()


def quality_words(quality):
    """Class and reason, such as ("bad", "timeout")."""
    return QUALITY_CLASSES[quality >> 6], QUALITY_REASONS.get(quality, "unknown reason")


def has_value(quality):
    return quality >> 6 < 2


# -- the frame


def unpack(frame):
    """The content of the one zstd frame."""
    check(len(frame) <= FRAME_BYTES_MAX, f"frame of {len(frame)} bytes")
    check(frame[:4] == b"\x28\xb5\x2f\xfd", "no zstd frame")
    try:
        header = zstandard.get_frame_parameters(frame)
        size = header.content_size
        check(1 <= size <= CONTENT_BYTES_MAX, f"content size {size}, or none, in the frame header")
        check(header.window_size <= WINDOW_MAX, f"a window of {header.window_size} bytes")
        content = zstandard.ZstdDecompressor().decompress(frame)  # into size bytes: more is an error
        again = zstandard.ZstdDecompressor().decompressobj()
        again.decompress(frame)
    except zstandard.ZstdError as error:
        raise Invalid(f"no zstd frame: {error}") from error
    check(again.eof and not again.unused_data, "the frame is cut or something follows it")
    check(len(content) == size, "the content is not as long as its header says")
    return content


# -- CBOR, as far as the page uses it: unsigned integers, byte strings, texts, arrays, maps; definite and shortest


class Cbor:
    UNSIGNED, BYTES, TEXT, ARRAY, MAP = 0, 2, 3, 4, 5

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        check(len(self.data) - self.at >= count, "the CBOR ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self, wanted):
        """The number in the head of the next item, which must be of the wanted major type."""
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        check(major == wanted, f"CBOR major type {major} where {wanted} is due")
        if low < 24:
            return low
        check(low <= 27, "indefinite or reserved CBOR length")
        number = int.from_bytes(self.take(1 << (low - 24)), "big")
        check(number >= (24, 2**8, 2**16, 2**32)[low - 24], "CBOR number not in its shortest form")
        return number

    def unsigned(self, most=NUMBER_END - 1, least=0):
        number = self.head(self.UNSIGNED)
        check(least <= number <= most, f"{number} is not in {least} to {most}")
        return number

    def string(self, length=None):
        count = self.head(self.BYTES)
        check(length is None or count == length, f"{count} bytes where {length} are due")
        return self.take(count)

    def text(self, least, most):
        count = self.head(self.TEXT)
        check(least <= count <= most, f"text of {count} bytes, not {least} to {most}")
        return text_of(self.take(count))

    def array(self, least, most):
        count = self.head(self.ARRAY)
        check(least <= count <= most, f"array of {count}, not {least} to {most}")
        return count

    def key(self, number):
        check(self.unsigned() == number, f"key {number} is not where it belongs")

    def end(self):
        check(self.at == len(self.data), "something follows the CBOR")


def text_of(data):
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(str(error)) from error
    check(not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text), "control character in a text")
    return text


def open_envelope(frame, least, most, message):
    """A reader that stands behind the keys that both messages begin with; the number of keys, gateway and store."""
    cbor = Cbor(unpack(frame))
    keys = cbor.head(Cbor.MAP)
    check(least <= keys <= most, f"not a map of {least} to {most}")
    cbor.key(0)
    check(cbor.unsigned() == 1, "made by a newer Forebay")
    cbor.key(1)
    check(cbor.text(0, 63) == message, f"not a {message}")
    cbor.key(2)
    gateway = cbor.text(1, 63)
    cbor.key(3)
    return cbor, keys, gateway, cbor.string(16)


# -- columns


class Columns:
    """A reader over the column string."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def byte(self):
        check(self.at < len(self.data), "the columns end too early")
        self.at += 1
        return self.data[self.at - 1]

    def varint(self, least=0, most=2**64 - 1):
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            check(shift < 70, "varint of more than 10 bytes")
        check(byte or not shift, "varint not in its shortest form")
        check(least <= number <= most, f"{number} is not in {least} to {most}")
        return number

    def zigzag(self):
        return unzigzag(self.varint())

    def varints(self, count, least=0, most=2**64 - 1):
        check(count <= len(self.data) - self.at, "the columns are too short for what they announce")
        return [self.varint(least, most) for _ in range(count)]

    def zigzags(self, count):
        return [unzigzag(number) for number in self.varints(count)]

    def planes(self, count, width):
        """count unsigned numbers of width bytes, least significant plane first."""
        end = self.at + count * width
        check(end <= len(self.data), "the columns are too short for their planes")
        planes = [self.data[self.at + i * count : self.at + (i + 1) * count] for i in range(width)]
        self.at = end
        return [int.from_bytes(column, "little") for column in zip(*planes)] if count else []

    def take(self, count):
        check(count <= len(self.data) - self.at, "the columns end too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def runs(self, total, most, one_byte):
        """total values, told as runs."""
        count = self.varint(0, total)
        values = [self.byte() for _ in range(count)] if one_byte else self.varints(count, 0, most)
        lengths = self.varints(count, 1, total)
        check(sum(lengths) == total, "runs do not add up to the readings")
        return [value for value, length in zip(values, lengths) for _ in range(length)]


def unzigzag(number):
    return number >> 1 if number % 2 == 0 else -((number + 1) >> 1)


def signed(number, bits):
    """number modulo 2^bits as a signed number."""
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number


def sums(first_numbers):
    """Running sums."""
    total, result = 0, []
    for number in first_numbers:
        total += number
        result.append(total)
    return result


def group_times(first, steps):
    """Times of a group from its first time, its second time's distance, and the changes of that distance."""
    return sums([first, *sums(steps)])


def real_from_ordered(m, bits):
    """The float whose ordered form is m."""
    pattern = m if m >= 0 else m ^ ((1 << (bits - 1)) - 1)
    value = struct.unpack("<f" if bits == 32 else "<d", struct.pack("<i" if bits == 32 else "<q", pattern))[0]
    check(math.isfinite(value), "NaN or infinity")
    return value


def boolean(m):
    check(m in (0, 1), f"{m} is no boolean")
    return m == 1


def decimal(m, exponent, single):
    check(abs(m) < 2**53, f"decimal {m} is not below 2^53")
    value = m / 10**exponent
    return struct.unpack("<f", struct.pack("<f", value))[0] if single else value


@dataclasses.dataclass
class Encoding:
    kind: str
    part: str  # value part: A, B or C
    bits: int  # sums are modulo 2^bits
    value: object  # function of m


def encoding_of(byte):
    if byte == 0:
        return Encoding("real64", "C", 64, lambda m: real_from_ordered(m, 64))
    if byte == 1:
        return Encoding("real32", "B", 32, lambda m: real_from_ordered(m, 32))
    if byte == 2:
        return Encoding("integer", "A", 64, lambda m: m)
    if byte == 3:
        return Encoding("boolean", "A", 64, boolean)
    if byte == 4:
        return Encoding("text", "texts", 0, None)
    if 16 <= byte <= 28:
        return Encoding("real64", "A", 64, lambda m: decimal(m, byte - 16, False))
    check(32 <= byte <= 44, f"encoding {byte} is not known")
    return Encoding("real32", "A", 64, lambda m: decimal(m, byte - 32, True))


PART_READERS = {
    "A": lambda columns, count: columns.zigzags(count),
    "B": lambda columns, count: [unzigzag(number) for number in columns.planes(count, 4)],
    "C": lambda columns, count: [unzigzag(number) for number in columns.planes(count, 8)],
}


def read_part(columns, part, encodings, counts):
    """{series: its values}. counts: values of each series."""
    mine = [i for i, encoding in enumerate(encodings) if encoding.part == part and counts[i]]
    steps = PART_READERS[part](columns, sum(counts[i] for i in mine))
    firsts, rest = steps[: len(mine)], steps[len(mine) :]
    values, at = {}, 0
    for i, first in zip(mine, firsts):
        further = rest[at : at + counts[i] - 1]
        at += counts[i] - 1
        encoding = encodings[i]
        values[i] = [encoding.value(signed(m, encoding.bits)) for m in sums([first, *further])]
    return values


def read_texts(columns, total):
    """The total texts of one series."""
    count = columns.varint(1, total)
    lengths = columns.varints(count, 0, TEXT_MAX)
    texts = [text_of(columns.take(length)) for length in lengths]
    runs = columns.varint(1, total)
    indexes, used = columns.varints(runs), 0
    for index in indexes:
        check(index <= used and index < count, "a text is not used in its order")
        used += index == used
    check(used == count, "a text is not used")
    lengths = columns.varints(runs, 1, total)
    check(sum(lengths) == total, "the runs of texts do not add up to the values")
    return [texts[index] for index, length in zip(indexes, lengths) for _ in range(length)]


def read_columns(data, total):
    """The readings, series after series."""
    columns = Columns(data)
    groups = columns.varint(0, total)
    series = columns.varint(groups, total)
    sizes = columns.varints(groups, 1, total)
    check(sum(sizes) <= total, "the groups are larger than the batch")
    tags = sums(columns.varints(series, 0, TAG_MAX))
    check(all(1 <= tag <= TAG_MAX for tag in tags), "a tag's number is not in 1 to 4,294,967,295")
    series_groups = sums(columns.zigzags(series))
    check(all(0 <= group < groups for group in series_groups), "a series names a group that is not there")
    check(len(set(series_groups)) == groups, "a group without a series")
    lengths = [sizes[group] for group in series_groups]
    check(sum(lengths) == total, "the series do not add up to the readings")
    encodings = [encoding_of(columns.byte()) for _ in range(series)]
    first_times = sums(columns.zigzags(groups))
    times = [group_times(first, columns.zigzags(size - 1)) for first, size in zip(first_times, sizes)]
    check(all(0 <= time <= TIME_MAX_MS for group in times for time in group), "a time out of bounds")
    qualities = columns.runs(total, 255, one_byte=True)
    details = columns.runs(total, DETAIL_MAX, one_byte=False)
    starts = [0, *sums(lengths)]
    counts = [sum(map(has_value, qualities[starts[i] : starts[i + 1]])) for i in range(series)]
    values = {}
    for part in PART_READERS:
        values.update(read_part(columns, part, encodings, counts))
    for i in range(series):
        if encodings[i].kind == "text" and counts[i]:
            values[i] = read_texts(columns, counts[i])
    check(columns.at == len(data), "something follows the columns")
    readings = []
    for i in range(series):
        mine = iter(values.get(i, ()))
        for k, time_ms in enumerate(times[series_groups[i]]):
            quality = qualities[starts[i] + k]
            value = next(mine) if has_value(quality) else None
            readings.append(Reading(tags[i], encodings[i].kind, time_ms, quality, details[starts[i] + k], value))
    return readings


# -- the two messages


def read_loss(cbor, number):
    cbor.array(6, 6)
    reason = cbor.unsigned(max(LOSS_REASONS), 1)
    readings, times = cbor.unsigned(), [cbor.unsigned(TIME_MAX_MS) for _ in range(2)]
    loss = Loss(reason, readings, *times, cbor.unsigned(), cbor.unsigned())
    check(loss.from_ms <= loss.to_ms, "a loss ends before it begins")
    in_batches = 1 <= loss.first_batch <= loss.last_batch < number
    check(in_batches or loss.first_batch == loss.last_batch == 0, "a loss names batches that cannot be")
    return loss


def read_correction(cbor, number, own):
    elsewhere = cbor.array(5, 6) == 6
    most = NUMBER_END - 1 if elsewhere else number
    batches, times = [cbor.unsigned(most, 1) for _ in range(2)], [cbor.unsigned(TIME_MAX_MS) for _ in range(3)]
    correction = Correction(*batches, *times, cbor.string(16) if elsewhere else None)
    check(correction.store not in (own, bytes(16)), "a correction names no other store")
    check(correction.first_batch <= correction.last_batch, "a correction ends before it begins")
    check(correction.from_ms <= correction.to_ms, "a correction ends before it begins")
    check(correction.right_ms + correction.to_ms - correction.from_ms <= TIME_MAX_MS, "a correction to no time")
    return correction


def decode_batch(frame):
    """The batch, or Invalid."""
    cbor, keys, gateway, store = open_envelope(frame, 12, 13, "batch")
    cbor.key(4)
    number = cbor.unsigned(least=1)
    cbor.key(5)
    previous = cbor.string(32)
    cbor.key(6)
    catalogue = cbor.string(32)
    cbor.key(7)
    sealed_ms = cbor.unsigned(TIME_MAX_MS)
    cbor.key(8)
    clock = cbor.unsigned(2)
    cbor.key(9)
    losses = [read_loss(cbor, number) for _ in range(cbor.array(0, LOSSES_MAX))]
    cbor.key(10)
    total = cbor.unsigned(READINGS_MAX)
    cbor.key(11)
    columns = cbor.string()
    corrections = []
    if keys == 13:
        cbor.key(12)
        corrections = [read_correction(cbor, number, store) for _ in range(cbor.array(1, CORRECTIONS_MAX))]
    cbor.end()
    check(number != 1 or previous == bytes(32), "batch 1 follows on nothing")
    readings = read_columns(columns, total)
    return Batch(gateway, store, number, previous, catalogue, sealed_ms, clock, losses, readings, corrections)


def decode_catalogue(frame):
    """The catalogue, or Invalid."""
    cbor, _, gateway, store = open_envelope(frame, 7, 7, "catalogue")
    cbor.key(4)
    revision = cbor.unsigned(least=1)
    cbor.key(5)
    made_ms = cbor.unsigned(TIME_MAX_MS)
    cbor.key(6)
    tags = []
    for _ in range(cbor.array(0, TAGS_MAX)):
        cbor.array(5, 5)
        number = cbor.unsigned(TAG_MAX, tags[-1].number + 1 if tags else 1)
        tags.append(CatalogueTag(number, cbor.text(1, 63), cbor.text(1, 63), cbor.text(0, 23), KINDS[cbor.unsigned(4)]))
    cbor.end()
    return Catalogue(gateway, store, revision, made_ms, tags)


def decode(frame):
    """A batch or a catalogue, whichever it is."""
    try:
        return decode_batch(frame)
    except Invalid as error:
        try:
            return decode_catalogue(frame)
        except Invalid:
            raise error from None


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            frame = file.read(FRAME_BYTES_MAX + 1)
        try:
            print(json.dumps(dataclasses.asdict(decode(frame)), default=bytes.hex, ensure_ascii=False))
        except Invalid as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
