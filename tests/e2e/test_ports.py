"""The tests' servers get ports that no client takes, and no other run of the tests."""

import subprocess

import pytest
from common import PORT_RANGE, PYTHON, TESTS, free_port, port_is_free, server_ports

GIVE = "from common import free_port; print(*(free_port() for _ in range(500))); input()"


def test_ports_lie_outside_of_those_for_clients():
    first, last = map(int, PORT_RANGE.read_text(encoding="ascii").split())
    given = [free_port() for _ in range(100)]
    assert not [port for port in given if first <= port <= last or port <= 1024]
    assert all(map(port_is_free, given))


@pytest.mark.parametrize(("clients", "ends"), [
    ("32768\t60999\n", (1025, 32767, 61000, 65535)), ("1024\t60999\n", (61000, 65535)), ("10000\t65535\n", (1025, 9999)),
])  # fmt: skip
def test_both_sides_of_the_range_are_used(clients, ends):
    ports = server_ports(clients)
    assert (ports[0], ports[-1]) == (ends[0], ends[-1])
    assert set(ends) <= set(ports)


def test_a_range_that_leaves_nothing_is_named():
    with pytest.raises(AssertionError, match="gives clients 1024 to 65535: no port is left"):
        server_ports("1024\t65535\n")


def test_runs_at_the_same_time_share_no_port():
    runs = [
        subprocess.Popen([PYTHON, "-c", GIVE], env={"PYTHONPATH": TESTS / "e2e"}, text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
        for _ in range(2)
    ]  # fmt: skip
    given = [run.stdout.readline().split() for run in runs]
    for run in runs:
        run.communicate("\n", timeout=20)
    ports = [port for run in given for port in run]
    assert len(ports) == len(set(ports)) == 1000
