"""Fixtures of the end-to-end tests.

Scenarios that take long, mostly in waiting, run in threads beside all other tests, a few at a time: a test marked
@pytest.mark.scenario(function, turn=N) has its function run there, those of turn 1 first, and itself only looks at the
outcome, after all tests without a scenario. ABUSE=N in the environment makes the campaigns of kills and cuts N rounds
long."""

import concurrent.futures
import contextlib
import os
import pathlib
import threading

import pytest
from broker import Broker
from common import make_certificates, rounds

QUEUES = (
    "main", "cable", "endpoints", "states", "input", "judged", "reload", "receive", "mirror",
    "killed-core", "killed-cloud", "killed-field", "killed-all", "clock", "soak", "hot", "lines", "budget",
    "hung-programs", "hung-supervisor", "hung-everything", "json-senml", "json-event",
    "commanded", "commands", "replies", "vain", "trusted",
)  # fmt: skip
EXCHANGES = {
    "copies": ("receive", "mirror"),
}
SCENARIOS_AT_ONCE = 8
SCENARIO_LIMIT_S = 420 + 10 * rounds(0) + 90 * float(os.environ.get("MINUTES", "0"))
LOG_TAIL_LINES = 25


class Site:
    """What the scenarios share: a folder each, the certificates, one broker that stays up."""

    def __init__(self, folder, stack):
        self.base = pathlib.Path(folder)
        self.pki = make_certificates(self.base / "pki")
        self._stack = stack
        self._lock = threading.Lock()
        self._broker = None

    def folder(self, name):
        path = self.base / name
        path.mkdir(exist_ok=True)
        return path

    @property
    def broker(self):
        with self._lock:
            if self._broker is None:
                broker = Broker(self.folder("broker"), self.pki, QUEUES, exchanges=EXCHANGES)
                self._broker = self._stack.enter_context(broker)
            return self._broker

    def logs_of(self, name):
        """The last lines of every log of the scenario."""
        parts = []
        for path in sorted(self.base.glob(f"{name}*/**/*.log")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
            parts.append("\n".join([f"--- {path}", *lines]))
        return "\n".join(parts)


def pytest_configure(config):
    config.addinivalue_line("markers", "scenario(function, turn): run function(site) beside the other tests")
    # Peers that offer too little are part of the tests.
    config.addinivalue_line("filterwarnings", "ignore:ssl.TLSVersion:DeprecationWarning")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: scenario_of(item) is not None)


@pytest.fixture(scope="session", name="site")
def one_site(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("site"), stack)


def scenario_of(item):
    """The function and the turn of the test's scenario, or None."""
    mark = item.get_closest_marker("scenario")
    return (mark.args[0], mark.kwargs["turn"]) if mark else None


@pytest.fixture(scope="session", autouse=True, name="scenarios")
def running_scenarios(request, site):
    """The future of each scenario's function; they begin with the first test of this folder."""
    wanted = dict.fromkeys(filter(None, map(scenario_of, request.session.items)))
    with concurrent.futures.ThreadPoolExecutor(SCENARIOS_AT_ONCE) as pool:
        yield {function: pool.submit(function, site) for function, _ in sorted(wanted, key=lambda one: one[1])}
        pool.shutdown(cancel_futures=True)


@pytest.fixture(name="outcome")
def outcome_of_scenario(request, scenarios):
    """What the test's scenario returned; its failure is the test's."""
    return scenarios[scenario_of(request.node)[0]].result(SCENARIO_LIMIT_S)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and "site" in item.funcargs:
        name = item.path.stem.removeprefix("test_")
        report.sections.append(("logs", item.funcargs["site"].logs_of(name)))
