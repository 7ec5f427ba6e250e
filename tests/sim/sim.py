#!/usr/bin/python3
"""Simulated instrument controllers over Modbus TCP and RTU, honest or not, for Forebay's tests and demo.

    sim.py DESCRIPTION.json

The description: {"seed": 1, "record": FILE, "control": SOCKET,
                  "tcp": [{"name", "host", "port", "units": [...]}], "rtu": [{"name", "link", "baud", "units": [...]}],
                  "rtu_tcp": [{"name", "host", "port", "units": [...]}]}
with units {"unit": 7, "blocks": [see values.py], "registers_most": 125, "flaky": {"silence": 0.1, "exception": 0.1},
"writable": [ADDRESS ...], "short": true}: registers and coils that take writes; whether reads beyond what is there are
answered with less.
Everything but names and units may be left out. Port 0 is chosen by the kernel.

When ready it prints one line of JSON: {"ready": true, "buses": {NAME: port or path}}. It ends on SIGTERM, SIGINT, or
when its standard input, if that is a pipe, ends.

Commands, one a line, on the control socket (a Unix stream) or standard input; each is answered by a line of JSON:
    fault BUS UNIT KIND [ARGUMENT] [times N]   spoil replies, see faults.py; UNIT may be *
    clear BUS UNIT                             be honest again
    down BUS / up BUS                          stop listening and reset / listen again; unplug / plug in
    figures                                    requests answered and requests that were no reads, by bus
    honest BUS                                 reads answered without fault: [FUNCTION, ADDRESS, COUNT, how often] each
    flush                                      write out the record

The record has one line of JSON a request: {"t": UTC seconds, "bus", "unit", "function", "address", "count", "data": hex
of the honest registers (bits: one byte each) or null after an exception or a short reply, "fault": kind or null}."""

import asyncio
import json
import os
import signal
import stat
import sys

import bus
import faults

LINE_MAX = 1024


class Record:
    """The record's file; written out when flushed and every second."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="ascii") if path else None

    def add(self, time_s, name, unit, request, data, fault):
        if self.file is None or len(request) != 5:
            return
        address, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
        shown = "null" if data is None else f'"{data.hex()}"'
        kind = "null" if fault is None else f'"{fault.kind}"'
        self.file.write(
            f'{{"t": {time_s:.6f}, "bus": "{name}", "unit": {unit}, "function": {request[0]}, "address": {address},'
            f' "count": {count}, "data": {shown}, "fault": {kind}}}\n'
        )

    def flush(self):
        if self.file is not None:
            self.file.flush()

    async def flush_each_second(self):
        while True:
            await asyncio.sleep(1)
            self.flush()


class Simulator:
    def __init__(self, description):
        seed = description.get("seed", 1)
        self.record = Record(description.get("record"))
        kinds = {"tcp": bus.TcpBus, "rtu": bus.RtuBus, "rtu_tcp": bus.RtuTcpBus}
        made = [kind(one, seed, self.record) for key, kind in kinds.items() for one in description.get(key, [])]
        self.buses = {one.name: one for one in made}
        self.commands = {
            "fault": self.fault, "clear": self.clear, "down": self.down, "up": self.up, "figures": self.figures,
            "honest": self.honest, "flush": self.flush,
        }

    async def fault(self, name, unit, kind, *words):
        words = list(words)
        left = -1
        if "times" in words:
            at = words.index("times")
            left = int(words[at + 1])
            del words[at : at + 2]
        if kind not in faults.KINDS:
            raise ValueError(f"no fault {kind}; there are {' '.join(faults.KINDS)}")
        argument = int(words[0]) if words else 0
        for number in self._units(name, unit):
            self.buses[name].set_fault(number, faults.Fault(kind, argument, left))

    async def clear(self, name, unit):
        for number in self._units(name, unit):
            self.buses[name].set_fault(number, None)

    def _units(self, name, unit):
        numbers = list(self.buses[name].units)
        return numbers if unit == "*" else [number for number in numbers if number == int(unit)] or [self._none(unit)]

    @staticmethod
    def _none(unit):
        raise ValueError(f"no unit {unit}")

    async def down(self, name):
        await self.buses[name].down()

    async def up(self, name):
        await self.buses[name].up()

    async def figures(self):
        return {
            name: {"requests": one.requests, "other_functions": one.other_functions} for name, one in self.buses.items()
        }

    async def honest(self, name):
        return [[*request, times] for request, times in self.buses[name].honest.items()]

    async def flush(self):
        self.record.flush()

    async def command(self, line):
        """Carry out one line; the answer as JSON."""
        words = line.split()
        try:
            result = await self.commands[words[0]](*words[1:])
            return json.dumps({"ok": True, "result": result})
        except (KeyError, IndexError, ValueError, TypeError, OSError) as error:
            return json.dumps({"ok": False, "error": f"{type(error).__name__}: {error}"})

    async def converse(self, reader, writer):
        """Commands from the control socket until it closes."""
        while line := await reader.readline():
            writer.write((await self.command(line.decode(errors="replace")) + "\n").encode())
            await writer.drain()
        writer.close()

    async def listen_to_input(self, stop):
        """Commands from standard input, whose end is ours."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(LINE_MAX)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            print(await self.command(line.decode(errors="replace")), flush=True)
        stop.set()

    async def run(self, control):
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        for one in self.buses.values():
            await one.up()
        if control:
            await asyncio.start_unix_server(self.converse, control, limit=LINE_MAX)
        tasks = [asyncio.create_task(self.record.flush_each_second())]
        if stat.S_ISFIFO(os.fstat(0).st_mode):
            tasks.append(asyncio.create_task(self.listen_to_input(stop)))
        where = {name: one.where() for name, one in self.buses.items()}
        print(json.dumps({"ready": True, "buses": where}), flush=True)
        await stop.wait()
        for task in tasks:
            task.cancel()
        for one in self.buses.values():
            await one.down()
        self.record.flush()


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        description = json.load(file)
    asyncio.run(Simulator(description).run(description.get("control")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
