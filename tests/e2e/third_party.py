#!/usr/bin/python3
"""pymodbus's servers as instruments: Modbus TCP, and RTU frames over TCP as a raw serial server passes them on.
Prints {"tcp": port, "rtu": port} and serves until its standard input ends."""

import asyncio
import json
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server.async_io import ModbusTcpServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

REGISTERS = [(7 * i) & 0xFFFF for i in range(200)]
BITS = [i % 3 == 0 for i in range(64)]


def context():
    unit = ModbusSlaveContext(
        di=ModbusSequentialDataBlock(0, BITS), co=ModbusSequentialDataBlock(0, BITS),
        hr=ModbusSequentialDataBlock(0, REGISTERS), ir=ModbusSequentialDataBlock(0, REGISTERS), zero_mode=True,
    )  # fmt: skip
    return ModbusServerContext(slaves={1: unit, 2: unit}, single=False)


async def main():
    ports = {}
    tasks = []
    for name, framer in (("tcp", ModbusSocketFramer), ("rtu", ModbusRtuFramer)):
        server = ModbusTcpServer(context(), framer=framer, address=("127.0.0.1", 0))
        tasks.append(asyncio.create_task(server.serve_forever()))
        await server.serving
        ports[name] = server.server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


asyncio.run(main())
