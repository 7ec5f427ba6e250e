"""Each of Forebay's programs is killed with SIGKILL again and again at random moments; `forebay run` starts it anew."""

import contextlib
import functools
import random
import time

import pytest
from common import rounds, wait_until
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator

TAGS = 100
COMMIT_INTERVAL_S = 1.0
SLACK_S = 0.25  # a commit takes a moment, and so does noticing the time of a kill


def kill_core(gateway, n):
    gateway.kill("forebay-core")


def kill_cloud(gateway, n):
    gateway.kill("forebay-cloud")


def kill_field(gateway, n):
    """The parent and the worker in turn."""
    gateway.kill("forebay-field", n % 2)


def kill_everything(gateway, n):
    gateway.kill_all()


# What to kill, and how long before a kill a reading may have been read and yet be lost; None: never.
KILLS = {
    "core": (kill_core, None),  # forebay-field keeps what core has not committed
    "cloud": (kill_cloud, None),
    "field": (kill_field, SLACK_S),  # what the worker and the parent were just handing on
    "all": (kill_everything, COMMIT_INTERVAL_S + SLACK_S),
}


def run(name, site):
    folder = site.folder(f"programs_killed-{name}")
    plant = SequencePlant(TAGS)
    choice = random.Random(name)
    kill, before_s = KILLS[name]
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, f"killed-{name}", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(site.broker.port, f"killed-{name}", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        time.sleep(2)
        since_s = time.time()
        moments = []
        for n in range(rounds(10)):
            time.sleep(choice.uniform(0.5, 2.0))
            moments.append(time.time())
            kill(gateway, n)
            moments.append(time.time())  # it may have come much later than it was meant to
            if gateway.process is None:
                gateway.launch()
            wait_until(gateway.ready, 20, f"the programs are connected again after kill {n + 1} of {name}")
        gateway.wait_for_link()
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        gateway.stop()
        found = compare(sim.record(), consumer.view().by_tag(), plant.tags, since_s, until_s)
    view = consumer.view()
    if before_s is None:
        assert not found.missing, f"killing {name} lost what was safe: {found}"
    found.assert_lost_only_near(moments, before_s or 0, SLACK_S)
    assert found.matched > TAGS * rounds(10) / 2, str(found)
    (store,) = view.stores()
    assert not view.missing_numbers(store)
    assert not view.losses()
    view.check_chain()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.scenario(functools.partial(run, name), turn=2)) for name in KILLS]
)
def test_killed_at_random_moments(name, outcome):
    assert outcome is None
