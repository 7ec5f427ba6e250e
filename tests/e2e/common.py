"""What every end-to-end test needs: where things are, ports, waiting with a limit."""

import os
import pathlib
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


def free_port(port=0):
    """A TCP port of 127.0.0.1 that nobody uses, or the given one if it can be had."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        return server.getsockname()[1]


def wait_until(condition, limit_s, what, every_s=0.05):
    """Ask until the condition gives something true, and return that; fail after limit_s."""
    end = time.monotonic() + limit_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        time.sleep(every_s)


def make_certificates(folder):
    """The throw-away authority and its certificates, see tests/pki.sh."""
    subprocess.run([TESTS / "pki.sh", folder], check=True)
    return pathlib.Path(folder)
