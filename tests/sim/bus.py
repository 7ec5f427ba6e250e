"""The buses of the simulator: Modbus TCP endpoints and RTU lines on pseudo terminals, with their framing."""

import asyncio
import collections
import os
import pathlib
import random
import socket
import time
import tty

import faults
import unit as units
import values

GATEWAY_TARGET_FAILED = 11
RTU_REQUEST_BYTES = 8  # functions 1-6
WRITE_SEVERAL = 16  # has a count of bytes in front of them
RTU_SILENCE_S = 0.05  # an incomplete request is forgotten after it


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc.to_bytes(2, "little")


def _crc_of(byte):
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


CRC_TABLE = [_crc_of(byte) for byte in range(256)]


class Bus:
    """What both kinds share: units, faults, counting, the record of every reply."""

    def __init__(self, description, seed, record):
        self.name = description["name"]
        self.units = {one["unit"]: units.Unit(one, seed) for one in description["units"]}
        self.faults = {}
        self.random = random.Random(f"{seed}/{self.name}")
        self.record = record
        self.requests = 0
        self.honest = collections.Counter()  # replies without fault, by function, address and count
        self.other_functions = 0  # requests that are no reads: a gateway that only reads never makes one

    def fault_of(self, unit):
        """The fault that spoils this request, counted down."""
        fault = self.faults.get(unit.number)
        if fault is None:
            return faults.flaky_fault(unit.flaky, self.random) if unit.flaky else None
        if fault.left > 0:
            fault.left -= 1
            if fault.left == 0:
                self.set_fault(unit.number, None)
        return fault

    def set_fault(self, number, fault):
        if fault is None:
            self.faults.pop(number, None)
        else:
            self.faults[number] = fault
        self.units[number].freeze(fault is not None and fault.kind == "freeze")

    def handle(self, number, request):
        """The pieces to send for a request to the unit."""
        self.requests += 1
        self.other_functions += request[0] not in values.TABLE_FUNCTIONS
        unit = self.units.get(number)
        if unit is None:
            return self.nobody(number, request)
        now = time.time()
        reply, data = units.answer(unit, request, now)
        piece = faults.Piece(unit=number, pdu=reply, request=request)
        fault = self.fault_of(unit)
        self.record.add(now, self.name, number, request, data, fault)
        if fault is None and data:
            self.honest[request[0], int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")] += 1
        return [piece] if fault is None else faults.apply(fault, piece, request[0], data, self.random)


def deliver(piece, data, transport, write):
    """Carry out what the piece says, with what surrounds its frame. transport: None on a serial line."""
    loop = asyncio.get_running_loop()
    data = (data if piece.kept < 0 else data[: piece.kept]) * piece.copies
    if piece.close:
        loop.call_later(piece.delay_s, transport.abort if piece.reset else transport.close)
    elif piece.gap_s > 0:
        for i in range(len(data)):
            loop.call_later(piece.delay_s + i * piece.gap_s, write, data[i : i + 1])
    elif piece.delay_s > 0:
        loop.call_later(piece.delay_s, write, piece.before + data + piece.after)
    else:
        write(piece.before + data + piece.after)


class TcpConnection(asyncio.Protocol):
    def __init__(self, bus):
        self.bus = bus
        self.buffer = b""
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.bus.connections.add(self)

    def connection_lost(self, exc):
        self.bus.connections.discard(self)

    def data_received(self, data):
        """MBAP: transaction, protocol 0, length of what follows, unit."""
        self.buffer += data
        while len(self.buffer) >= 8:
            length = int.from_bytes(self.buffer[4:6], "big")
            if self.buffer[2:4] != b"\0\0" or not 2 <= length <= 254:
                self.transport.abort()
                return
            if len(self.buffer) < 6 + length:
                return
            frame, self.buffer = self.buffer[: 6 + length], self.buffer[6 + length :]
            transaction = int.from_bytes(frame[0:2], "big")
            for piece in self.bus.handle(frame[6], frame[7:]):
                self.send(piece, transaction)

    def send(self, piece, transaction):
        data = piece.raw
        if not data and not piece.close:
            transaction = (transaction + piece.transaction_offset) & 0xFFFF
            header = bytearray(transaction.to_bytes(2, "big") + b"\0\0" + (len(piece.pdu) + 1).to_bytes(2, "big"))
            header[piece.header_xor[0]] ^= piece.header_xor[1]
            data = bytes(header) + bytes((piece.unit,)) + piece.pdu
            data = data[: len(data) // 2] if piece.cut else data
        deliver(piece, data, self.transport, self.transport.write)


class TcpBus(Bus):
    """One Modbus TCP endpoint; port 0 lets the kernel choose, and stays the same over down and up: a socket that never
    listens keeps it from everybody else."""

    def __init__(self, description, seed, record):
        super().__init__(description, seed, record)
        self.host = description.get("host", "127.0.0.1")
        self.kept = socket.socket()
        self.kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.kept.bind((self.host, description.get("port", 0)))
        self.port = self.kept.getsockname()[1]
        self.connections = set()
        self.server = None

    def connection(self):
        return TcpConnection(self)

    async def up(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self.connection, self.host, self.port, reuse_address=True)

    async def down(self):
        """Nobody listens any more and every connection is reset."""
        if self.server is not None:
            self.server.close()
            self.server = None
        for connection in list(self.connections):
            connection.transport.abort()

    def where(self):
        return self.port

    @staticmethod
    def nobody(number, request):
        return [faults.Piece(unit=number, pdu=units.exception(request[0], GATEWAY_TARGET_FAILED))]


class RtuLine:
    """The framing of a serial line in both directions."""

    def __init__(self):
        self.buffer = b""
        self.last_byte_s = 0.0

    def requests(self, data):
        """Whole requests as (unit, PDU), now that these bytes came."""
        now = time.monotonic()
        if now - self.last_byte_s > RTU_SILENCE_S:
            self.buffer = b""
        self.last_byte_s = now
        self.buffer += data
        while len(self.buffer) >= RTU_REQUEST_BYTES:
            length = 9 + self.buffer[6] if self.buffer[1] == WRITE_SEVERAL else RTU_REQUEST_BYTES
            if len(self.buffer) < length:
                return
            frame = self.buffer[:length]
            if crc16(frame[:-2]) != frame[-2:]:
                self.buffer = self.buffer[1:]
                continue
            self.buffer = self.buffer[length:]
            yield frame[0], frame[1:-2]

    @staticmethod
    def frame(piece):
        if piece.raw or piece.close:
            return piece.raw
        data = bytes((piece.unit,)) + piece.pdu
        crc = crc16(data)
        if piece.flipped:
            data = data[:-1] + bytes((data[-1] ^ 0x10,))
        crc = crc[::-1] if piece.swapped_crc else crc
        data += bytes(byte ^ 0xFF for byte in crc) if piece.bad_crc else crc
        return data[: len(data) // 2] if piece.cut else data


class RtuTcpConnection(asyncio.Protocol):
    def __init__(self, bus):
        self.bus = bus
        self.line = RtuLine()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.bus.connections.add(self)

    def connection_lost(self, exc):
        self.bus.connections.discard(self)

    def data_received(self, data):
        for unit, request in self.line.requests(data):
            for piece in self.bus.handle(unit, request):
                deliver(piece, self.line.frame(piece), self.transport, self.transport.write)


class RtuTcpBus(TcpBus):
    """A serial server that only passes bytes on: RTU frames over TCP."""

    def connection(self):
        return RtuTcpConnection(self)

    @staticmethod
    def nobody(number, request):
        return []


class RtuBus(Bus):
    """One serial line: a pseudo terminal whose other end the gateway opens. baud: replies take the time that they
    would take on a real line; without it they come at once. link: a symbolic link to the terminal."""

    def __init__(self, description, seed, record):
        super().__init__(description, seed, record)
        self.character_s = 11 / description["baud"] if "baud" in description else 0.0
        self.link = pathlib.Path(description["link"]) if "link" in description else None
        self.main = self.terminal = -1
        self.line = RtuLine()

    async def up(self):
        # The terminal's end stays open here too: a reader that closes it must not end the line.
        self.main, self.terminal = os.openpty()
        tty.setraw(self.terminal)
        os.set_blocking(self.main, False)
        asyncio.get_running_loop().add_reader(self.main, self.readable)
        if self.link is not None:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(os.ttyname(self.terminal))

    async def down(self):
        """The adapter is unplugged: the gateway's open terminal hangs up, the link leads nowhere."""
        if self.main >= 0:
            asyncio.get_running_loop().remove_reader(self.main)
            os.close(self.main)
            os.close(self.terminal)
            self.main = self.terminal = -1
        if self.link is not None:
            self.link.unlink(missing_ok=True)

    def where(self):
        return str(self.link or os.ttyname(self.terminal))

    @staticmethod
    def nobody(number, request):
        return []

    def readable(self):
        for unit, request in self.line.requests(os.read(self.main, 4096)):
            for piece in self.handle(unit, request):
                self.send(piece)

    def send(self, piece):
        data = self.line.frame(piece)
        piece.delay_s += (RTU_REQUEST_BYTES + len(data) + 3.5) * self.character_s
        if not piece.close:
            deliver(piece, data, None, self.write)

    def write(self, data):
        if self.main >= 0 and data:
            try:
                os.write(self.main, data)
            except BlockingIOError:
                pass  # nobody reads the terminal: as on a line, what is not heard is gone
