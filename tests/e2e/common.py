"""What every end-to-end test needs: where things are, ports, waiting with a limit."""

import os
import pathlib
import random
import socket
import subprocess
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
TOP = TESTS.parent
PYTHON = "/usr/bin/python3"


def program(name):
    """A program of the build under test; V chooses which build, as for make."""
    return TOP / "build" / os.environ.get("V", "release") / name


def rounds(usual):
    """How many rounds a campaign of kills or cuts has."""
    return int(os.environ.get("ABUSE", usual))


_given = set()


def free_port(port=0):
    """A TCP port of 127.0.0.1 that nobody uses, or the given one if it can be had. Below those that the kernel gives to
    clients, and never twice: it may take a while until a server is started on it."""
    for _ in range(1 if port else 100):
        wanted = port or random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind(("127.0.0.1", wanted))
            except OSError:
                if port:
                    raise
                continue
        if port or wanted not in _given:
            _given.add(wanted)
            return wanted
    raise OSError("no free port found")


def wait_until(condition, limit_s, what, every_s=0.05):
    """Ask until the condition gives something true, and return that; fail after limit_s."""
    end = time.monotonic() + limit_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        time.sleep(every_s)


class Service:
    """As a context it runs from start() to stop(). stop() must also end what a start() that failed has left behind."""

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()


def make_certificates(folder):
    """The throw-away authority and its certificates, see tests/pki.sh."""
    subprocess.run([TESTS / "pki.sh", folder], check=True)
    return pathlib.Path(folder)
