"""Runs a gateway of the build under test: writes its configuration, starts `forebay run`, asks for its status over the
control socket, kills its programs, and ends it whatever happened."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from common import program, wait_until
from processes import runs

PROGRAMS = ("forebay-core", "forebay-field", "forebay-cloud")
SANITIZED = os.environ.get("V", "release") == "asan"

# gateway/common/message.h and protocol.h
MESSAGE_VERSION = 1
MESSAGE_MORE = 1
MESSAGE_BYTES_MAX = 132 * 1024
CONTROL_REQUEST, CONTROL_ANSWER = 128, 160


def _scalar(value):
    if isinstance(value, dict):
        return _flow(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_scalar, value)) + "]"
    text = json.dumps(value) if isinstance(value, (bool, int, float)) else str(value)
    return text if re.fullmatch(r"[A-Za-z0-9/_.:-]+", text) else json.dumps(text, ensure_ascii=False)


def _flow(mapping):
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in mapping.items()) + "}"


def yaml_text(configuration):
    """The configuration as a person would write it."""
    lines = []
    for key, part in configuration.items():
        if isinstance(part, dict):
            lines.append(f"{key}: {_flow(part)}")
            continue
        lines.append(f"{key}:")
        for entry in part:
            tags = entry.get("tags")
            if tags is None:
                lines.append(f"  - {_flow(entry)}")
                continue
            plain = [f"{name}: {_scalar(value)}" for name, value in entry.items() if name != "tags"]
            lines += [f"  - {plain[0]}", *(f"    {line}" for line in plain[1:]), "    tags:"]
            lines += [f"      - {_flow(tag)}" for tag in tags]
    return "\n".join(lines) + "\n"


def cloud_part(port, queue, pki, **more):
    return {
        "host": "localhost", "port": port, "address": f"/queues/{queue}", "ca": pki / "ca.pem",
        "certificate": pki / "gateway.pem", "key": pki / "gateway.key", "retry_first": "200ms", "retry_most": "2s",
        **more,
    }  # fmt: skip


class Gateway:
    """folder: keeps configuration, data and log. configuration: the YAML's tree without its part gateway. environment: more
    variables for its programs; not by os.environ, which scenarios that run side by side share."""

    def __init__(self, folder, configuration, environment=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="forebay-"))  # short: socket names have 107 bytes
        self.file = self.folder / "forebay.yaml"
        self.process = None
        self.environment = environment or {}
        self.configure(configuration)

    def configure(self, configuration):
        """Write the file; reload() or start() makes it count."""
        own = {"name": self.folder.name.replace("_", "-"), "data": self.folder / "data", "run": self.run}
        self.configuration = {
            "gateway": own, "store": {"commit_interval": "1s", "forward_interval": "2s"}, **configuration
        }
        self.write(yaml_text(self.configuration))

    def write(self, text):
        self.file.write_text(text, encoding="utf-8")

    # -- starting and ending

    def launch(self):
        with open(self.folder / "forebay.log", "ab") as log:
            self.process = subprocess.Popen(
                [program("forebay"), "run", "-c", self.file],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.environment},
            )
        return self

    def start(self):
        self.launch()
        wait_until(self.ready, 20, "the gateway's programs are connected")
        return self

    def ready(self):
        code = self.process.poll()
        assert code is None, f"forebay run ended with {code}; see {self.folder}/forebay.log"
        programs = {one["name"]: one["connected"] for one in (self.try_status() or {"programs": []})["programs"]}
        wanted = PROGRAMS[1:] if "cloud" in self.configuration else PROGRAMS[1:2]
        return all(programs.get(name) for name in wanted)

    def stop(self, number=signal.SIGTERM):
        """The signal; every program must end by itself, before `forebay run` has to kill it, the exit code be 0, and no
        sanitizer have complained."""
        before = self.pids()
        self.process.send_signal(number)
        code = self.process.wait(30)
        left = [pid for pids in before.values() for pid in pids if runs(pid)]
        self.process = None
        assert code == 0 and not left, f"forebay run ended with {code}, left {left}"
        log = (self.folder / "forebay.log").read_text(encoding="utf-8", errors="replace")
        assert "Sanitizer" not in log and "runtime error:" not in log, f"a sanitizer has found something: {log[-3000:]}"
        assert SANITIZED or "stop-late" not in log, "a program did not end by itself"

    def kill_all(self):
        """SIGKILL for every program, `forebay run` first so that it restarts nothing."""
        pids = [self.process.pid, *(pid for pids in self.pids().values() for pid in pids)]
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None
        wait_until(lambda: not any(map(runs, pids)), 10, "the killed programs are gone")

    def kill(self, name, which=0):
        """SIGKILL for a program, as soon as it runs: the first of its processes, or another (workers)."""
        pids = wait_until(lambda: self.pids().get(name, [])[which:], 20, f"{name} runs")
        _signal(pids[0], signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
            self.process = None
        shutil.rmtree(self.run, ignore_errors=True)

    def pids(self):
        """{program: pids}; forebay-field's first is the parent, the rest are its workers; nginx as it is."""
        found = {}
        todo = [self.process.pid]
        while todo:
            for pid in _children(todo.pop(0)):
                found.setdefault(_name(pid), []).append(pid)
                todo.append(pid)
        return found

    # -- asking

    def command(self, *words, code=0):
        """Run a forebay command against this gateway; its standard output, or its standard error when code is not 0."""
        done = subprocess.run(
            [program("forebay"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == code, f"forebay {words}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stderr if code else done.stdout

    def skipped(self):
        """{bus: slots that its worker has skipped, and counted}: where instruments answer, only a busy machine is the cause.
        Nothing while core is not there. Workers tell their figures every two seconds: what they tell from now on counts."""

        def figures():
            return {one["name"]: one for one in (self.try_status() or {"buses": []})["buses"]}

        def told():
            now = figures()
            return all(name not in now or now[name]["requests"] != one["requests"] for name, one in before.items())

        before = figures()
        wait_until(told, 30, "the workers tell their figures")
        return {name: one["overruns"] or 0 for name, one in figures().items()}

    def reload(self, code=0):
        return self.command("reload", "-c", str(self.file), code=code)

    def ask(self, name, /, **arguments):
        """One call of docs/api.md over the control socket; the answer, be it an error."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
            control.settimeout(20)
            control.connect(str(self.run / "control.sock"))
            control.send(message(CONTROL_REQUEST, json.dumps({"call": name, **arguments}).encode()))
            text = b""
            while True:
                packet = control.recv(MESSAGE_BYTES_MAX)
                if not packet:
                    raise ConnectionError("core closed the control socket")
                _, kind, flags, _ = struct.unpack("=BBHI", packet[:8])
                assert kind == CONTROL_ANSWER
                text += packet[8:]
                if not flags & MESSAGE_MORE:
                    break
        return json.loads(text)

    def call(self, name, /, **arguments):
        """A call that succeeds; its result."""
        answer = self.ask(name, **arguments)
        assert answer["ok"], answer
        return answer["result"]

    def status(self):
        return self.call("status")

    def try_status(self):
        """The status, or None while core is not there."""
        try:
            return self.status()
        except OSError:
            return None

    def wait_for_status(self, condition, limit_s, what):
        """Wait until the condition, given a status, is true; that status."""

        def met():
            status = self.try_status()
            return status if status is not None and condition(status) else None

        return wait_until(met, limit_s, what, every_s=0.1)

    def wait_for_buses(self, limit_s=60):
        """Wait until every bus has been read without a fault."""
        return self.wait_for_status(
            lambda status: all(bus["state"] == "good" for bus in status["buses"]), limit_s, "every bus is good"
        )

    def wait_for_link(self, limit_s=30):
        return self.wait_for_status(lambda status: status["link"]["state"] == "up", limit_s, "the link is up")


def message(kind, payload=b"", version=MESSAGE_VERSION, flags=0, length=None):
    """A packet as Forebay's programs exchange them; wrong ones, too."""
    return struct.pack("=BBHI", version, kind, flags, len(payload) if length is None else length) + payload


def _children(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _name(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
    except OSError:
        return "gone"


def _signal(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
