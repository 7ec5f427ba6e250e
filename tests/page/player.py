"""Plays the gateway's side of docs/api.md over SCGI, so that the page can be seen in states that a real gateway only
reaches when something breaks."""

import asyncio
import json
import math
import threading
import time

UNITS = [
    ("turbidity", "NTU"), ("flow", "m³/h"), ("ph", ""), ("temperature", "°C"), ("oxygen", "mg/l"),
    ("counter", "pulses"), ("pump-running", ""), ("nitrate", "mg/l"), ("level", "m"), ("conductivity", "µS/cm"),
]  # fmt: skip
PROGRAMS = ("forebay-field", "forebay-cloud")
BUSES = [
    ("hall-1", "modbus-tcp", "192.0.2.20:502"), ("hall-2", "modbus-tcp", "192.0.2.21:502"),
    ("line-1", "modbus-rtu", "/dev/ttyS1 9600 8E1"),
]  # fmt: skip


def now_ms():
    return int(time.time() * 1000)


def certificate(use, subject, days_left, error=""):
    return {
        "use": use, "file": f"/etc/forebay/{use}.pem", "subject": subject, "sha256": f"{use}-{days_left}", "from_ms": 0,
        "until_ms": 0, "error": error, "days_left": days_left,
    }  # fmt: skip


class Plant:
    """What the status and the values are made of; change the members to change what the page is told. The player's thread
    reads them meanwhile, each once."""

    def __init__(self, instruments=6, tags=8):
        self.started_ms = now_ms() - 3_600_000
        self.loaded_ms = self.started_ms
        self.tags = tags
        self.names = [f"{('turbidity', 'flow', 'nitrate', 'oxygen')[i % 4]}-{i + 1}" for i in range(instruments)]
        self.bad = {}  # instrument -> reason
        self.uncertain = {}
        self.link = {}
        self.certificates = [certificate("gateway", "plant-north", 300), certificate("broker", "broker.example", 90)]
        self.store = {}
        self.buses = {}
        self.gateway = {}
        self.programs = {}
        self.name = "plant-north"
        self.proven = {}  # (instrument, tag) -> {"time_ms", "who"}
        self.said = {}  # (instrument, tag) -> text that it has for a value
        self.events = []  # records
        self.attempts = []
        self.status_without = {}  # part of the status -> members that core does not know

    def status(self):
        status = self._whole_status()
        for part, members in self.status_without.items():
            for one in status[part] if isinstance(status[part], list) else [status[part]]:
                for member in members:
                    del one[member]
        return status

    def _whole_status(self):
        now = now_ms()
        return {
            "gateway": {
                "name": self.name, "version": "0.1.0", "now_ms": now, "started_ms": self.started_ms,
                "clock": "synchronised",
                "configuration": {"file": "/etc/forebay/forebay.yaml", "loaded_ms": self.loaded_ms, "error": None},
                **self.gateway,
            },
            "programs": [
                {"name": name, "connected": True, "since_ms": self.started_ms, "dropped": 0,
                 **self.programs.get(name, {})}
                for name in PROGRAMS
            ],
            "link": {
                "configured": True, "state": "up", "since_ms": self.started_ms + 900, "step": "up", "reason": "",
                "endpoint": "amqps://broker.example:5671", "address": "/queues/readings", "peer": "192.0.2.7",
                "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384", "last_accepted_ms": now - 4200, "in_flight": 1,
                "oldest_unacknowledged_ms": now - 8300,
                "accepted": 361, "rejected": 0, "released": 0, "refusal": "", "retry_at_ms": None, **self.link,
            },
            "certificates": self.certificates,
            "store": {
                "state": "good", "reason": "", "identity": "6f" * 16, "readings": 3_600_000, "unsent_readings": 9000,
                "batches": 362, "unsent_batches": 1, "last_number": 362, "oldest_unsent_ms": now - 8300,
                "lost_readings": 0, "bytes": 734_003_200, "quota_bytes": 8_589_934_592, "last_commit_ms": now - 400,
                "written_bytes": 5_368_709_120, "written_bytes_per_day": 1_288_490_188, "set_aside": None, **self.store,
            },
            "buses": [self._bus(*bus) for bus in BUSES],
            "instruments": [self._instrument(i, name, now) for i, name in enumerate(self.names)],
            "records": {kind: {"first": 1, "last": len(kept)} for kind, kept in self._records().items()},
            "readings_per_s": float(len(self.names) * self.tags),
        }  # fmt: skip

    def _records(self):
        return {"events": self.events, "attempts": self.attempts}

    def records(self, kind, after):
        kept = self._records()[kind]
        numbered = [{"number": number, **record} for number, record in enumerate(kept, 1)]
        return {"records": numbered[after:][:100], "first": 1, "last": len(kept)}

    def _bus(self, name, kind, endpoint):
        return {
            "name": name, "kind": kind, "endpoint": endpoint, "state": "good", "reason": "", "overruns": 0,
            "since_ms": self.started_ms + 500, "requests": 12_345_678, "load_percent": 41.5,
            "lateness_ms": {"p50": 0.3, "p99": 12.4}, "response_ms": {"p50": 41.5, "p99": 99.0},
            "errors": {"timeout": 3, "not connected": 0, "exception": 1, "bad reply": 0}, **self.buses.get(name, {}),
        }  # fmt: skip

    def _instrument(self, i, name, now):
        bad = self.bad
        return {
            "name": name, "bus": BUSES[i % len(BUSES)][0], "unit": i % 240 + 1, "tags": self.tags,
            "proven_tags": sum(owner == name for owner, _ in self.proven),
            "state": "bad" if name in bad else "good", "reason": bad.get(name, ""), "since_ms": self.started_ms + 500, "last_good_ms": now,
        }  # fmt: skip

    def value(self, instrument, owner, tag):
        number = instrument * self.tags + tag + 1
        name, unit = UNITS[tag % len(UNITS)]
        seconds = time.time()
        value = round((1 + number % 90) * (1.2 + math.sin(seconds / 9 + number)), 3)
        if name == "counter":
            value = int(seconds) + number
        elif name == "pump-running":
            value = math.sin(seconds / 20 + number) > 0
        value = self.said.get((owner, name), value)
        quality, reason = "good", ""
        bad, uncertain, proven = self.bad.get(owner), self.uncertain.get(owner), self.proven.get((owner, name))
        if bad is not None:
            value, quality, reason = None, "bad", bad
        elif uncertain is not None:
            quality, reason = "uncertain", uncertain
        proof = {} if proven is None else {"proven": proven}
        return {**proof, "tag": number, "instrument": owner, "name": name if tag < len(UNITS) else f"{name}-{tag}", "unit": unit,
                "value": value, "quality": quality, "reason": reason, "time_ms": now_ms() - 30, "interval_ms": 1000}

    def values(self, part=0, parts=1):
        return {"values": [self.value(i, name, t) for i, name in enumerate(self.names) for t in range(self.tags)
                           if t % parts == part]}


class Player:
    """The SCGI server, in a thread of its own. folder: web.sock is made there."""

    def __init__(self, folder, plant):
        self.folder = folder
        self.plant = plant
        self.requests = []  # parameters of each request, the newest last; at most 1000
        self.silent = False  # events go on but say nothing
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._writers = set()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(5), "the player did not start"
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def hang_up(self):
        """End every stream."""
        self._loop.call_soon_threadsafe(lambda: [writer.transport.abort() for writer in list(self._writers)])

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_unix_server(self._serve, str(self.folder / "web.sock")))
        self._ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        try:
            length = int((await reader.readuntil(b":"))[:-1])
            fields = (await reader.readexactly(length + 1))[:-2].decode().split("\0")
            parameters = dict(zip(fields[::2], fields[1::2]))
            self.requests = self.requests[-999:] + [parameters]
            await self._answer(parameters["DOCUMENT_URI"], parameters.get("QUERY_STRING", ""), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, path, query, writer):
        if path == "/api/events":
            await self._events(writer)
        elif path in ("/api/status", "/api/values", "/api/records/events", "/api/records/attempts"):
            if path.startswith("/api/records/"):
                answer = self.plant.records(path.split("/")[3], int(query.removeprefix("after=") or 0))
            else:
                answer = self.plant.status() if path == "/api/status" else self.plant.values()
            writer.write(b"Status: 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(answer).encode())
        else:
            writer.write(b"Status: 404 Not Found\r\nContent-Type: application/json\r\n\r\n"
                         b'{"error": "not found", "cause": "no such call"}')
        await writer.drain()

    async def _events(self, writer):
        writer.write(b"Status: 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        turn = 0
        while True:
            if not self.silent:
                if turn % 4 == 0:
                    self._event(writer, "status", self.plant.status())
                values = self.plant.values() if turn == 0 else self.plant.values(turn % 2, 2)
                self._event(writer, "values", values)
            await writer.drain()
            await asyncio.sleep(0.5)
            turn += 1

    @staticmethod
    def _event(writer, name, data):
        writer.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
