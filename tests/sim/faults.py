"""How a simulated controller misbehaves. A fault turns one honest reply into what goes on the wire: pieces of
(delay in seconds, unit, PDU, how to frame it), or raw bytes. Pure but for the random number generator given."""

import dataclasses

import unit as units


@dataclasses.dataclass
class Fault:
    kind: str
    argument: int = 0
    left: int = -1  # requests that it still spoils; -1: until cleared


@dataclasses.dataclass
class Piece:
    """Something to send. raw: these bytes as they are; else unit and pdu, framed for the bus."""

    delay_s: float = 0.0
    unit: int = 0
    pdu: bytes = b""
    transaction_offset: int = 0  # added to the request's transaction id (TCP)
    bad_crc: bool = False  # the CRC is inverted (RTU)
    cut: bool = False  # only the first half of the frame is sent
    before: bytes = b""  # sent in front of the frame
    after: bytes = b""  # sent behind it
    header_xor: tuple = (0, 0)  # (offset, bits to turn) in the header (TCP)
    gap_s: float = 0.0  # between the bytes of the frame
    raw: bytes = b""
    close: bool = False  # the connection ends here instead (TCP)
    reset: bool = False  # so abruptly that what was sent before may be lost, too
    copies: int = 1  # of the frame, in one piece
    kept: int = -1  # bytes of the frame that are sent; -1: all
    flipped: bool = False  # a bit of the data is turned behind the CRC's back (RTU)
    swapped_crc: bool = False  # its bytes in the wrong order (RTU)
    request: bytes = b""  # that it answers, from the function on


def _data_with(function, data, change):
    """The reply with one register (or bit) less or more, its byte count in agreement."""
    each = 1 if function in (1, 2) else 2
    return units.data_reply(function, data[:-each] if change < 0 else data + data[-each:])


def _nan(function, data):
    if function in (1, 2):
        return units.data_reply(function, data)
    return units.data_reply(function, b"\xff\xff" * (len(data) // 2))


def _late(piece, fault, function, data, random):
    piece.delay_s = fault.argument / 1000
    return [piece]


def _infinite(piece, fault, function, data, random):
    """Every pair of registers is the float32 infinity."""
    piece.pdu = units.data_reply(function, (b"\x7f\x80\0\0" * len(data))[: len(data)])
    return [piece]


def _zeros(piece, fault, function, data, random):
    return [Piece(raw=bytes(16))]


def _noise(piece, fault, function, data, random):
    piece.before = random.randbytes(7)
    return [piece]


def _trailing(piece, fault, function, data, random):
    piece.after = random.randbytes(7)
    return [piece]


def _drip(piece, fault, function, data, random):
    piece.gap_s = fault.argument / 1000
    return [piece]


def _wrong_count(piece, fault, function, data, random):
    """The byte count disagrees with the bytes that follow."""
    piece.pdu = bytes((piece.pdu[0], piece.pdu[1] ^ 2)) + piece.pdu[2:]
    return [piece]


def _wrong_exception(piece, fault, function, data, random):
    piece.pdu = units.exception(function % 4 + 1, fault.argument)
    return [piece]


def _long_exception(piece, fault, function, data, random):
    piece.pdu = units.exception(function, fault.argument) + b"\0\0"
    return [piece]


def _wrong_protocol(piece, fault, function, data, random):
    piece.header_xor = (3, 1)
    return [piece]


def _wrong_length(piece, fault, function, data, random):
    piece.header_xor = (5, 2)
    return [piece]


def _last(piece, fault, function, data, random):
    return [piece, Piece(close=True)]


def _cut_and_close(piece, fault, function, data, random):
    piece.cut = True
    return [piece, Piece(close=True, delay_s=0.02)]


def _cut_and_reset(piece, fault, function, data, random):
    piece.cut = True
    return [piece, Piece(close=True, reset=True, delay_s=0.02)]


def _twice(piece, fault, function, data, random):
    piece.copies = 2
    return [piece]


def _echo(piece, fault, function, data, random):
    """The request comes back before the reply, as from an adapter that hears itself."""
    return [dataclasses.replace(piece, pdu=piece.request), piece]


def _echo_only(piece, fault, function, data, random):
    piece.pdu = piece.request
    return [piece]


def _empty(piece, fault, function, data, random):
    piece.pdu = bytes((function, 0))
    return [piece]


def _stub(piece, fault, function, data, random):
    piece.kept = 1
    return [piece]


def _broadcast(piece, fault, function, data, random):
    piece.unit = 0
    return [piece]


def _swapped_crc(piece, fault, function, data, random):
    piece.swapped_crc = True
    return [piece]


def _babble(piece, fault, function, data, random):
    """A line that is never quiet for a while; argument: bytes."""
    return [Piece(raw=random.randbytes(fault.argument // 8), delay_s=0.01 * i) for i in range(8)]


def _other_bit(piece, fault, function, data, random):
    """One bit of the data is turned on its way; the CRC is that of the honest frame (RTU)."""
    piece.flipped = True
    return [piece]


def _exception(piece, fault, function, data, random):
    piece.pdu = units.exception(function, fault.argument)
    return [piece]


def _wrong_transaction(piece, fault, function, data, random):
    piece.transaction_offset = 1
    return [piece]


def _wrong_unit(piece, fault, function, data, random):
    piece.unit = piece.unit % 247 + 1
    return [piece]


def _wrong_function(piece, fault, function, data, random):
    piece.pdu = bytes((function % 4 + 1,)) + piece.pdu[1:]
    return [piece]


def _short(piece, fault, function, data, random):
    piece.pdu = _data_with(function, data, -1)
    return [piece]


def _long(piece, fault, function, data, random):
    piece.pdu = _data_with(function, data, +1)
    return [piece]


def _cut(piece, fault, function, data, random):
    piece.cut = True
    return [piece]


def _bad_crc(piece, fault, function, data, random):
    piece.bad_crc = True
    return [piece]


def _duplicate(piece, fault, function, data, random):
    return [piece, dataclasses.replace(piece)]


def _garbage(piece, fault, function, data, random):
    return [Piece(raw=random.randbytes(random.randint(1, 64)))]


def _close(piece, fault, function, data, random):
    return [Piece(close=True)]


def _not_a_number(piece, fault, function, data, random):
    piece.pdu = _nan(function, data)
    return [piece]


def _silent(piece, fault, function, data, random):
    return []


def _freeze(piece, fault, function, data, random):
    return [piece]


KINDS = {
    "late": _late,  # argument: ms
    "silent": _silent,
    "exception": _exception,  # argument: its code
    "wrong-transaction": _wrong_transaction,
    "wrong-unit": _wrong_unit,
    "wrong-function": _wrong_function,
    "short": _short,
    "long": _long,
    "cut": _cut,
    "bad-crc": _bad_crc,
    "duplicate": _duplicate,
    "garbage": _garbage,
    "close": _close,
    "nan": _not_a_number,
    "infinite": _infinite,
    "zeros": _zeros,  # sixteen bytes of nothing
    "noise": _noise,  # in front of an honest reply
    "trailing": _trailing,  # noise behind an honest reply
    "drip": _drip,  # argument: ms between the bytes of an honest reply
    "wrong-count": _wrong_count,
    "wrong-exception": _wrong_exception,  # to another function; argument: its code
    "long-exception": _long_exception,  # argument: its code
    "wrong-protocol": _wrong_protocol,
    "wrong-length": _wrong_length,
    "last": _last,  # an honest reply, then the connection ends
    "cut-and-close": _cut_and_close,
    "cut-and-reset": _cut_and_reset,
    "twice": _twice,  # two whole replies at once
    "echo": _echo,  # the request, then an honest reply
    "echo-only": _echo_only,
    "empty": _empty,  # no data at all
    "stub": _stub,  # one byte
    "broadcast": _broadcast,  # from unit 0
    "swapped-crc": _swapped_crc,
    "other-bit": _other_bit,
    "babble": _babble,  # argument: bytes of noise
    "freeze": _freeze,  # honest replies, but the values stand still
}


def apply(fault, piece, function, data, random):
    """What goes on the wire instead of piece. data: the bytes read; exceptions are never spoilt further."""
    if data is None:
        return [piece]
    return KINDS[fault.kind](piece, fault, function, data, random)


def flaky_fault(settings, random):
    """settings: {"silence": share, "exception": share} of requests. A fault for this one request, or None."""
    draw = random.random()
    if draw < settings.get("silence", 0):
        return Fault("silent")
    if draw < settings.get("silence", 0) + settings.get("exception", 0):
        return Fault("exception", 6)
    return None
