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
WIDTH_MAX = 56
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
    cbor.key(0)
    check(cbor.head(Cbor.UNSIGNED) == 1, "made by a newer Forebay")
    check(least <= keys <= most, f"not a map of {least} to {most}")
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

    def low_bits(self, widths):
        """A number for each of the widths in bits, without gaps, least significant bit first."""
        data, held, held_bits, numbers = iter(self.take((sum(widths) + 7) // 8)), 0, 0, []
        for width in widths:
            while held_bits < width:
                held |= next(data) << held_bits
                held_bits += 8
            numbers.append(held & ((1 << width) - 1))
            held >>= width
            held_bits -= width
        check(held == 0, "the low bits are not filled up with zeros")
        return numbers

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
    check(-(2 ** (bits - 1)) <= m < 2 ** (bits - 1), f"{m} is no ordered form of {bits} bits")
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


def integer(m):
    return m


# Byte of an encoding: its kind and the function of m that gives the value.
ENCODINGS = {
    0: ("real64", lambda m: real_from_ordered(m, 64)),
    1: ("real32", lambda m: real_from_ordered(m, 32)),
    2: ("integer", integer),
    3: ("boolean", boolean),
    4: ("text", None),
    **{16 + k: ("real64", lambda m, k=k: decimal(m, k, False)) for k in range(13)},
    **{32 + k: ("real32", lambda m, k=k: decimal(m, k, True)) for k in range(13)},
}


@dataclasses.dataclass
class Series:
    tag: int
    group: int
    encoding: tuple
    width: int
    smoothed: bool
    qualities: list = ()
    details: list = ()
    count: int = 0  # of values

    @property
    def is_text(self):
        return self.encoding[0] == "text"


def numbers_of(series, distances):
    """The numbers m of a series, from its distances."""
    numbers, expected = [], 0
    for i, distance in enumerate(distances):
        m = signed(expected + distance, 64)
        expected = signed(expected + (signed(distance + 2, 64) >> 2), 64) if series.smoothed and i else m
        numbers.append(m)
    return numbers


def read_numbers(columns, all_series):
    """{index of a series: its values}, of those that hold numbers and have any."""
    mine = {i: series for i, series in enumerate(all_series) if series.count and not series.is_text}
    lows = iter(columns.low_bits([series.width for series in mine.values() for _ in range(series.count)]))
    highs = {i: [columns.varint(0, (2**64 - 1) >> series.width)] for i, series in mine.items()}
    values = {}
    for i, series in mine.items():
        highs[i] += columns.varints(series.count - 1, 0, (2**64 - 1) >> series.width)
        distances = [unzigzag(high << series.width | next(lows)) for high in highs[i]]
        values[i] = [series.encoding[1](m) for m in numbers_of(series, distances)]
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
    encodings = [columns.byte() for _ in range(series)]
    check(all(byte in ENCODINGS for byte in encodings), "an encoding is not known")
    shapes = [columns.byte() for _ in range(series)]
    check(all(shape & 127 <= WIDTH_MAX for shape in shapes), "a series with too many low bits")
    first_times = sums(columns.zigzags(groups))
    times = [group_times(first, columns.zigzags(size - 1)) for first, size in zip(first_times, sizes)]
    check(all(0 <= time <= TIME_MAX_MS for group in times for time in group), "a time out of bounds")
    qualities = columns.runs(total, 255, one_byte=True)
    details = columns.runs(total, DETAIL_MAX, one_byte=False)
    all_series, start = [], 0
    for tag, group, encoding, shape, length in zip(tags, series_groups, encodings, shapes, lengths):
        one = Series(tag, group, ENCODINGS[encoding], shape & 127, shape > 127)
        one.qualities, one.details = qualities[start : start + length], details[start : start + length]
        one.count = sum(map(has_value, one.qualities))
        check(shape == 0 or (one.count and not one.is_text), "a shape of a series without numbers")
        all_series.append(one)
        start += length
    values = read_numbers(columns, all_series)
    for i, one in enumerate(all_series):
        if one.is_text and one.count:
            values[i] = read_texts(columns, one.count)
    check(columns.at == len(data), "something follows the columns")
    readings = []
    for i, one in enumerate(all_series):
        mine = iter(values.get(i, ()))
        for time_ms, quality, detail in zip(times[one.group], one.qualities, one.details):
            value = next(mine) if has_value(quality) else None
            readings.append(Reading(one.tag, one.encoding[0], time_ms, quality, detail, value))
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
