"""Fixtures of the end-to-end tests.

Scenarios that take long run side by side: a test marked @pytest.mark.scenario(function, wave=N) has its function run in
a thread together with all others of the same wave, and the test itself only looks at the outcome. ABUSE=N in the
environment makes the campaigns of kills and cuts N rounds long."""

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
    "consumer-python", "consumer-javascript", "consumer-receive", "json-senml", "json-event",
    "commanded", "commands", "replies",
)  # fmt: skip
EXCHANGES = {
    "copies": ("receive", "mirror"),
    "consumers": ("consumer-python", "consumer-javascript", "consumer-receive"),
}
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
    config.addinivalue_line("markers", "scenario(function, wave): run function(site) beside the others of its wave")


@pytest.fixture(scope="session", name="site")
def one_site(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("site"), stack)


def scenario_of(item):
    """The function and the wave of the test's scenario, or None."""
    mark = item.get_closest_marker("scenario")
    return (mark.args[0], mark.kwargs["wave"]) if mark else None


@pytest.fixture(scope="session", name="waves")
def running_waves(request, site):
    """Gives the future of a scenario; its whole wave is started with it, once the wave before has ended."""
    wanted = dict.fromkeys(filter(None, map(scenario_of, request.session.items)))
    futures = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:

        def future_of(function, wave):
            if function not in futures:
                concurrent.futures.wait(futures.values(), SCENARIO_LIMIT_S)
                for one, its_wave in wanted:
                    if its_wave == wave:
                        futures[one] = pool.submit(one, site)
            return futures[function]

        yield future_of


@pytest.fixture(name="outcome")
def outcome_of_scenario(request, waves):
    """What the test's scenario returned; its failure is the test's."""
    return waves(*scenario_of(request.node)).result(SCENARIO_LIMIT_S)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and "site" in item.funcargs:
        name = item.path.stem.removeprefix("test_")
        report.sections.append(("logs", item.funcargs["site"].logs_of(name)))
