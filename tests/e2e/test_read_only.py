"""Read-only by construction: of what talks to instruments only the guard can send anything at all."""

import subprocess

import pytest
from common import program

# Everything that is linked between a plan and the wire, except guard.c. (core_peer.c, outbox.c and the like send to
# our own programs and hold no descriptor of an instrument.)
DRIVERS = ("connection", "line_driver", "line_frame", "line_port", "modbus_frame", "modbus_rtu_driver",
           "modbus_tcp_driver", "modbus_write", "probe", "rs485", "tcp_connect", "write")  # fmt: skip
SENDERS = {"send", "sendto", "sendmsg", "sendmmsg", "sendfile", "splice", "write", "writev", "pwrite", "pwritev", "dprintf",
           "fwrite", "syscall", "tcsendbreak"}  # fmt: skip
OWN = {"modbus_write_make", "modbus_write_judge"}


def undefined(name):
    """The symbols that the object takes from elsewhere."""
    shown = subprocess.run(["nm", "-u", program("drivers") / f"{name}.o"], capture_output=True, text=True, check=True)
    return {line.split()[-1].partition("@")[0] for line in shown.stdout.splitlines()}


@pytest.mark.parametrize("name", DRIVERS)
def test_a_driver_cannot_send(name):
    symbols = undefined(name) - OWN
    assert not symbols & SENDERS
    assert not {symbol for symbol in symbols if symbol.startswith(("modbus_write", "modbus_send", "modbus_mask"))}


def test_the_guard_can():
    assert {"send", "write"} <= undefined("guard")
