"""A TCP proxy on loopback: the cable between gateway and broker, which can be cut."""

import asyncio
import socket
import threading

from common import free_port


class Proxy:
    """Forwards 127.0.0.1:port to 127.0.0.1:target. stall(): nothing passes any more, nobody is told, as when a cable is
    pulled; mend(): what waited goes on. bytes_per_s: towards the target, no more than that passes, with a tenth of a second
    of it buffered, as by a modem; widen(): with new connections all passes. reset(): every connection breaks now. refuse(): stop listening as well.
    cut_after: while it is set, a connection breaks with its so-manieth byte, both ways counted."""

    def __init__(self, target, bytes_per_s=None):
        self._bytes_per_s = bytes_per_s
        self.cut_after = None
        self.port = free_port()
        self.target = target
        self.accepted = 0
        self.bytes_forwarded = 0
        self._writers = set()
        self._tasks = set()
        self._server = None
        self._open = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self):
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_):
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _start(self):
        self._open = asyncio.Event()
        self._open.set()
        await self._listen()

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _close_listener(self):
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _stop(self):
        await self._close_listener()
        await self._reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reset(self):
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader, writer):
        self.accepted += 1
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            if self._bytes_per_s:
                near = writer.get_extra_info("socket")
                near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._bytes_per_s // 10)
            self._writers.add(far_writer)
            try:
                passed = [0]
                there = self._pump(reader, far_writer, passed, self._bytes_per_s)
                await asyncio.gather(there, self._pump(far_reader, writer, passed))
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        except OSError:
            pass  # the target is away: the near end sees its connection closed
        finally:
            self._writers.discard(writer)
            self._tasks.discard(asyncio.current_task())
            writer.transport.abort()

    async def _pump(self, reader, writer, passed, bytes_per_s=None):
        """passed: how many bytes of the connection have, as the only element; shared by both ways."""
        while data := await reader.read(bytes_per_s // 50 if bytes_per_s else 65536):
            await self._open.wait()
            if bytes_per_s:
                await asyncio.sleep(len(data) / bytes_per_s)
            if self.cut_after is not None:
                data = data[: max(0, self.cut_after - passed[0])]
            passed[0] += len(data)
            self.bytes_forwarded += len(data)
            writer.write(data)
            await writer.drain()
            if self.cut_after is not None and passed[0] >= self.cut_after:
                break
        raise ConnectionResetError

    def widen(self):
        self._bytes_per_s = None

    def stall(self):
        self._loop.call_soon_threadsafe(self._open.clear)

    def mend(self):
        self._call(self._mend())

    async def _mend(self):
        self._open.set()
        if self._server is None:
            await self._listen()

    def reset(self):
        self._call(self._reset())

    def refuse(self):
        self._call(self._refuse())

    async def _refuse(self):
        await self._close_listener()
        await self._reset()
