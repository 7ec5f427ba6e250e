"""What the simulated registers hold: pure functions of time, so that a test can say what any reply must have been.

A block is a row of values of one type and form from an address on:

    {"table": "holding", "address": 0, "count": 10, "type": "float32", "order": "abcd", "form": "sine", "step": 1.0}

table: coil, discrete, input, holding. type: bit, int16 ... float64, bcd16, bcd32. order: abcd, cdab, badc, dcba.
step: seconds for which the content stays; at time t it is a function of n = floor(t / step) alone.
form:
  constant  "value"
  seconds   n + index, cut to the type's range
  sine      "base" + "swing" x sin(2 pi n step / "period" + index) + noise("noise") of seed, address and n
  blink     1 when n + index is odd
  sequence  how often this very request (address and count) was answered, 1 and up: what a reader must see once each;
            step has no meaning for it."""

import math
import struct
import zlib

TYPES = {  # type: registers, struct format, smallest, number of whole values (None: not whole)
    "bit": (1, ">H", 0, 2),
    "int16": (1, ">h", -(2**15), 2**16),
    "uint16": (1, ">H", 0, 2**16),
    "int32": (2, ">i", -(2**31), 2**32),
    "uint32": (2, ">I", 0, 2**32),
    "int64": (4, ">q", -(2**63), 2**64),
    "uint64": (4, ">Q", 0, 2**64),
    "bcd16": (1, ">H", 0, 10**4),
    "bcd32": (2, ">I", 0, 10**8),
    "float32": (2, ">f", None, None),
    "float64": (4, ">d", None, None),
}
TABLE_FUNCTIONS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
BIT_TABLES = ("coil", "discrete")


def width(block):
    """Registers (or bits) of one value."""
    return TYPES[block["type"]][0]


def reorder(data, order):
    """Bytes, most significant first, as they travel in the order; its own inverse."""
    if order in ("cdab", "dcba"):
        data = b"".join(data[i : i + 2] for i in range(len(data) - 2, -2, -2))
    if order in ("badc", "dcba"):
        data = b"".join(bytes((data[i + 1], data[i])) for i in range(0, len(data), 2))
    return data


def encode(value, kind, order):
    """The bytes on the wire."""
    _, form, smallest, size = TYPES[kind]
    if size is not None:
        value = (int(value) - smallest) % size + smallest
    if kind.startswith("bcd"):
        value = int(str(value), 16)
    return reorder(struct.pack(form, value), order)


def decode(data, kind, order):
    value = struct.unpack(TYPES[kind][1], reorder(data, order))[0]
    return int(f"{value:x}") if kind.startswith("bcd") else value


def noise(seed, address, n):
    """Uniform in [-1, 1), the same for ever for the same arguments."""
    return zlib.crc32(f"{seed}/{address}/{n}".encode()) / 2**31 - 1


def value_at(block, index, n, seed):
    """The value with this index of the block in its n-th step. Not for form sequence."""
    form = block["form"]
    if form == "constant":
        return block["value"]
    if form == "seconds":
        return n + index
    if form == "blink":
        return (n + index) % 2
    assert form == "sine", f"no form {form!r}"
    angle = 2 * math.pi * n * block.get("step", 1.0) / block.get("period", 60) + index
    spread = block.get("noise", 0) * noise(seed, block["address"] + index, n)
    return block.get("base", 0) + block.get("swing", 1) * math.sin(angle) + spread


def step_number(block, time_s):
    return math.floor(time_s / block.get("step", 1.0))


def content(block, n, seed):
    """All bytes of the block in its n-th step; for bit tables one byte a bit."""
    values = [value_at(block, index, n, seed) for index in range(block["count"])]
    if block["table"] in BIT_TABLES:
        return bytes(int(value) & 1 for value in values)
    return b"".join(encode(value, block["type"], block.get("order", "abcd")) for value in values)
