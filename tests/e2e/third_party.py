#!/usr/bin/python3
"""pymodbus's servers as instruments: Modbus TCP, and RTU frames over TCP as a raw serial server passes them on.
Prints {"tcp": port, "rtu": port} and serves until its standard input ends. Runs with pymodbus 3.0 (Debian 12) and 3.8
(Debian 13), whose calls differ."""

import asyncio
import json
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext

try:
    from pymodbus.framer import FramerType
    from pymodbus.server import ModbusTcpServer

    FRAMERS = {"tcp": FramerType.SOCKET, "rtu": FramerType.RTU}
except ImportError:
    from pymodbus.server.async_io import ModbusTcpServer
    from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

    FRAMERS = {"tcp": ModbusSocketFramer, "rtu": ModbusRtuFramer}

REGISTERS = [(7 * i) & 0xFFFF for i in range(200)]
BITS = [i % 3 == 0 for i in range(64)]
FIRST = 1  # pymodbus counts from one, as the manuals of instruments do


def context():
    tables = {"di": BITS, "co": BITS, "hr": REGISTERS, "ir": REGISTERS}
    unit = ModbusSlaveContext(**{name: ModbusSequentialDataBlock(FIRST, list(all)) for name, all in tables.items()})
    return ModbusServerContext(slaves={1: unit, 2: unit}, single=False)


async def start(framer):
    """The port."""
    server = ModbusTcpServer(context(), framer=framer, address=("127.0.0.1", 0))
    if hasattr(server, "transport"):  # 3.8
        await server.serve_forever(background=True)
        return server, server.transport.sockets[0].getsockname()[1]
    task = asyncio.create_task(server.serve_forever())
    await server.serving
    return task, server.server.sockets[0].getsockname()[1]


async def main():
    started = {name: await start(framer) for name, framer in FRAMERS.items()}
    print(json.dumps({name: port for name, (_, port) in started.items()}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for server, _ in started.values():
        if isinstance(server, asyncio.Task):
            server.cancel()
        else:
            await server.shutdown()


asyncio.run(main())
