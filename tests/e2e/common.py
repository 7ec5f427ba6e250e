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
PORT_RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
PORT_MIN = 1025
PORTS_TRIED = 1000
# Chromium opens no page on these: its net/base/port_util.cc
REFUSED_PORTS = {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}


def program(name):
    """A program of the build under test; V chooses which build, as for make."""
    return TOP / "build" / os.environ.get("V", "release") / name


def rounds(usual):
    """How many rounds a campaign of kills or cuts has."""
    return int(os.environ.get("ABUSE", usual))


def port_is_free(port):
    """Whether a server could listen there on 127.0.0.1."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def server_ports(clients):
    """The ports for servers where the kernel gives these to clients: what /proc/sys/net/ipv4/ip_local_port_range says."""
    first, last = map(int, clients.split())
    ports = (set(range(PORT_MIN, first)) | set(range(last + 1, 65536))) - REFUSED_PORTS
    assert ports, f"net.ipv4.ip_local_port_range gives clients {first} to {last}: no port is left for the tests' servers"
    return sorted(ports)


_kept = []


def _keep(port):
    """Whether this run, and none beside it, may have the port; it may until it ends. Of a name in the kernel, without a
    file, there is one in each network namespace, as of ports."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0forebay-tests-port-{port}")
    except OSError:
        name.close()
        return False
    _kept.append(name)
    return True


def free_port():
    """A TCP port of 127.0.0.1 that nobody uses. None that the kernel gives to clients, and none twice, nor to two runs at
    once: it may take a while until a server is started on it."""
    ports = server_ports(PORT_RANGE.read_text(encoding="ascii"))
    for port in random.SystemRandom().choices(ports, k=PORTS_TRIED):
        if port_is_free(port) and _keep(port):
            return port
    raise OSError("no free port found")


def wait_until(condition, limit_s, what, every_s=0.05):
    """Ask until the condition gives something true, and return that; fail after limit_s. The last look begins after that: this
    machine may have stood still for all of it."""
    end = time.monotonic() + limit_s
    while True:
        is_last = time.monotonic() >= end
        result = condition()
        if result:
            return result
        assert not is_last, f"not within {limit_s} s: {what}"
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
