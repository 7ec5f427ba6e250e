"""One simulated controller: its tables, and the answer to each request before any fault."""

import values

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
WRITES = (5, 6, 16)
MOST = {"coil": 2000, "discrete": 2000, "input": 125, "holding": 125}


class Block:
    """A block and the bytes it holds now, made once a step."""

    def __init__(self, description, seed):
        self.description = description
        self.seed = seed
        self.first = description["address"]
        self.end = self.first + description["count"] * values.width(description)
        self.sequence = description["form"] == "sequence"
        self.n = None
        self.bytes = b""
        self.frozen = False

    def content(self, time_s):
        n = values.step_number(self.description, time_s)
        if n != self.n and not (self.frozen and self.bytes):
            self.n = n
            self.bytes = values.content(self.description, n, self.seed)
        return self.bytes

    def sequence_content(self, count_of_replies):
        value = values.encode(count_of_replies, self.description["type"], self.description.get("order", "abcd"))
        return value * self.description["count"]


class Unit:
    def __init__(self, description, seed):
        self.number = description["unit"]
        self.registers_most = description.get("registers_most", 125)
        self.flaky = description.get("flaky")
        self.short = description.get("short", False)  # answers what it lacks with less instead of an exception
        self.writable = description.get("writable", [])  # holding registers and coils, by address
        self.written = {}  # (table, address): bytes
        self.replies = {}  # (table, address, count): answers so far, for form sequence
        self.tables = {}
        for block in description["blocks"]:
            table = self.tables.setdefault(block["table"], [])
            table.append(Block(block, seed))
            table.sort(key=lambda one: one.first)

    def freeze(self, frozen):
        for blocks in self.tables.values():
            for block in blocks:
                block.frozen = frozen

    def read(self, table, address, count, time_s):
        """The bytes of count registers (bits: one byte each), or None when one of them is not there."""
        key = (table, address, count)
        blocks = [b for b in self.tables.get(table, []) if b.first < address + count and b.end > address]
        if sum(min(b.end, address + count) - max(b.first, address) for b in blocks) != count:
            return None
        if any(block.sequence for block in blocks):
            self.replies[key] = self.replies.get(key, 0) + 1
        each = 1 if table in values.BIT_TABLES else 2
        parts = []
        for block in blocks:
            data = block.sequence_content(self.replies[key]) if block.sequence else block.content(time_s)
            parts.append(data[max(0, address - block.first) * each : (address + count - block.first) * each])
        data = bytearray(b"".join(parts))
        for (where, at), value in self.written.items():
            if where == table and address <= at < address + count:
                data[(at - address) * each : (at - address + 1) * each] = value
        return bytes(data)

    def read_first(self, table, address, count, time_s):
        """The bytes of those of the registers that stand in front of the first one that is not there."""
        while count > 0 and self.read(table, address, count, time_s) is None:
            count -= 1
        return self.read(table, address, count, time_s) if count > 0 else b""

    def write(self, request):
        """Carry out a write of one coil, one register or several; the reply."""
        function, address = request[0], int.from_bytes(request[1:3], "big")
        if function == 5:
            wanted = {("coil", address): bytes((request[3] == 0xFF,))}
        elif function == 6:
            wanted = {("holding", address): request[3:5]}
        else:
            count = int.from_bytes(request[3:5], "big")
            wanted = {("holding", address + i): request[6 + 2 * i : 8 + 2 * i] for i in range(count)}
        if any(at not in self.writable for _, at in wanted):
            return exception(function, ILLEGAL_ADDRESS)
        self.written.update(wanted)
        return request[:5]


def pack_bits(data):
    packed = bytearray((len(data) + 7) // 8)
    for i, bit in enumerate(data):
        packed[i // 8] |= bit << (i % 8)
    return bytes(packed)


def exception(function, code):
    return bytes((function | 0x80, code))


def data_reply(function, data):
    """The reply to a read of these bytes (bits: one byte each)."""
    if function in (1, 2):
        data = pack_bits(data)
    return bytes((function, len(data))) + data


def answer(unit, request, time_s):
    """request: function and data without address or check. Returns the reply and the bytes read, None if it is an
    exception."""
    function = request[0]
    if function in WRITES and unit.writable:
        reply = unit.write(request)
        return reply, None if reply[0] & 0x80 else b""
    table = values.TABLE_FUNCTIONS.get(function)
    if table is None or len(request) != 5:
        return exception(function, ILLEGAL_FUNCTION), None
    address, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
    most = MOST[table] if table in values.BIT_TABLES else min(MOST[table], unit.registers_most)
    if not 1 <= count <= most:
        return exception(function, ILLEGAL_VALUE), None
    data = unit.read(table, address, count, time_s)
    if data is None and unit.short:
        return data_reply(function, unit.read_first(table, address, count, time_s)), None
    if data is None:
        return exception(function, ILLEGAL_ADDRESS), None
    return data_reply(function, data), data
