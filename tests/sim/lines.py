"""Simulated instruments that speak in lines of text, at the other end of a TCP serial server or a pseudo terminal; honest,
late, silent or wrong, as a test wants. Each answer carries a number that was never sent before."""

import asyncio
import contextlib
import functools
import os
import pty
import select
import socket
import threading
import time
import tty


def nmea(body):
    return f"${body}*{functools.reduce(lambda a, b: a ^ b, body.encode()):02X}\r\n"


def sdi12_crc(text):
    crc = 0
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return text + "".join(chr(0x40 | part) for part in (crc >> 12, crc >> 6 & 63, crc & 63))


class Line(threading.Thread):
    """One instrument at the other end of a TCP serial server or a pseudo terminal. mode: what it does now."""

    def __init__(self, serial=False):
        super().__init__(daemon=True)
        self.mode = "good"
        self.count = 0
        self.asked = []
        self.ending = False
        self.server = self.ours = None
        if serial:
            self.ours, self.theirs = pty.openpty()
            tty.setraw(self.theirs)
            self.where = os.ttyname(self.theirs)
        else:
            self.server = socket.create_server(("127.0.0.1", 0))
            self.server.settimeout(0.1)
            self.where = self.server.getsockname()[1]
        self.start()

    def end(self):
        self.ending = True
        self.join(5)
        if self.server is not None:
            self.server.close()

    def send(self, text):
        os.write(self.ours, text.encode("latin-1"))

    def run(self):
        while not self.ending:
            if self.server is None:
                self.serve()
                return
            try:
                peer, _ = self.server.accept()
            except TimeoutError:
                continue
            with peer:
                self.ours = peer.fileno()
                with contextlib.suppress(OSError):
                    self.serve()

    def serve(self):
        text = ""
        while not self.ending:
            if self.mode == "gone":
                self.mode = "good"
                return
            ready, _, _ = select.select([self.ours], [], [], 0.02)
            if ready:
                got = os.read(self.ours, 100).decode("latin-1")
                if not got:
                    return
                text += got
            text = self.answer(text)


class Asked(Line):
    """READ 5 is answered with: V <count> 12.5"""

    def answer(self, text):
        if "\r" not in text:
            return text
        question, _, rest = text.partition("\r")
        self.asked.append(question)
        self.count += 1
        reply = f"V {self.count} 12.5\r\n"
        if self.mode == "late":
            time.sleep(0.8)
        if self.mode == "strange":
            reply = "V off 12.5\r\n"
        if self.mode == "other":
            reply = "ERROR 7\r\n"
        if self.mode == "endless":
            reply = "V 7 12.5 " * 60
        if self.mode != "silent":
            self.send(reply)
        return rest


class Speaking(Line):
    """A sentence of another talker and one of ours every 50 ms."""

    def answer(self, text):
        if self.mode != "still":
            self.count += 1
        ours = nmea(f"YXMTW,{self.count}.5,C")
        if self.mode == "wrong":
            ours = ours.replace(".5", ".6")
        if self.mode == "empty":
            ours = nmea("YXMTW,,C")
        if self.mode != "silent":
            self.send(nmea("GPZDA,160012.71,11,03,2004,-1,00") + ours)
        time.sleep(0.05)
        return ""


class Sensor(Line):
    """SDI-12 address 3: one second announced, ready sooner, three values in two answers with CRC."""

    def answer(self, text):
        if "!" not in text:
            return text
        command, _, rest = text.partition("!")
        self.asked.append(command)
        if self.mode == "silent":
            return rest
        if command == "3MC":
            self.count += 1
            self.send("30013\r\n")
            time.sleep(0.1)
            self.send("3\r\n")
        elif command == "3D0":
            good = sdi12_crc(f"3+{self.count}.25-7")
            self.send((good if self.mode == "good" else good.replace(".25", ".35")) + "\r\n")
        elif command == "3D1":
            self.send(sdi12_crc("3+0.5") + "\r\n")
        return rest


class Replier:
    """One TCP serial server whose instrument answers each line that ends in CR with: V <count> 12.5; or, while some are left
    to spoil, with spoilt(count): pieces of (delay in seconds, bytes), None instead of bytes ends the connection."""

    def __init__(self, spoilt):
        self.spoilt = spoilt
        self.count = 0
        self.left = 0  # replies still to spoil
        self.honest = set()  # numbers that may be believed
        self.port = None

    async def start(self):
        server = await asyncio.start_server(self.converse, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def converse(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r")
                self.reply(writer)

    def reply(self, writer):
        self.count += 1
        self.honest.add(self.count)
        pieces = [(0, f"V {self.count} 12.5\r\n".encode())]
        if self.left > 0:
            self.left -= 1
            pieces = self.spoilt(self.count)
        loop = asyncio.get_running_loop()
        for delay_s, data in pieces:
            if data is None:
                loop.call_later(delay_s, writer.close)
            else:
                loop.call_later(delay_s, writer.write, data)


class Repliers(threading.Thread):
    """Many of them, by name, on a loop of their own."""

    def __init__(self, spoilt):
        super().__init__(daemon=True)
        self.instruments = {name: Replier(one) for name, one in spoilt.items()}
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()

    def run(self):
        for one in self.instruments.values():
            self.loop.run_until_complete(one.start())
        self.loop.call_soon(self.ready.set)
        self.loop.run_forever()

    def __enter__(self):
        self.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(5)

    def spoil(self, replies):
        """The next so many of each."""

        def all_at_once():
            for one in self.instruments.values():
                one.left = replies

        self.loop.call_soon_threadsafe(all_at_once)
