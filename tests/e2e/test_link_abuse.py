"""Random cuts and kills of everything on the link: broker, cable, and the gateway's programs, one after the other and on
top of each other. At the receiver every value is there once."""

import contextlib
import random
import time

import pytest
from broker import Broker
from common import rounds, wait_until
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from proxy import Proxy
from simulator import Simulator

TAGS = 100
USUAL_ROUNDS = 12
COMMIT_INTERVAL_S = 0.5
SLACK_S = 0.4
OFTEN = {"commit_interval": "500ms", "forward_interval": "1s", "forward_interval_offline": "1s"}


class Campaign:
    """What can be done to the link; each remembers what it may have cost."""

    def __init__(self, broker, proxy, gateway, seed):
        self.broker, self.proxy, self.gateway = broker, proxy, gateway
        self.choice = random.Random(seed)
        self.killed = []  # when what was not committed yet could go
        self.skipped = 0  # slots, by workers that were killed since
        self.done = []
        self.ways = {
            "reset": (6, self.proxy.reset),
            "stall": (4, self.stall),
            "refuse": (4, self.refuse),
            "kill forebay-cloud": (5, lambda: self.gateway.kill("forebay-cloud")),
            "kill forebay-core": (4, lambda: self.gateway.kill("forebay-core")),
            "kill everything": (2, self.kill_all),
            "kill the broker": (2, self.kill_broker),
        }

    def pause(self, least_s, most_s):
        time.sleep(self.choice.uniform(least_s, most_s))

    def stall(self):
        """Nothing passes; sometimes for longer than the idle time-out."""
        self.proxy.stall()
        self.pause(0.2, 4)
        self.proxy.mend()

    def refuse(self):
        self.proxy.refuse()
        self.pause(0.1, 2)
        self.proxy.mend()

    def kill_all(self):
        self.skipped += sum(self.gateway.skipped().values())
        self.killed.append(time.time())
        self.gateway.kill_all()
        self.pause(0, 0.5)
        self.gateway.launch()
        self.killed.append(time.time())

    def kill_broker(self):
        self.broker.kill()
        self.pause(0, 1)
        self.broker.start()

    def round(self):
        weights = [weight for weight, _ in self.ways.values()]
        (name,) = self.choice.choices(list(self.ways), weights)
        self.ways[name][1]()
        self.done.append(name)
        if self.choice.random() < 0.6:
            self.gateway.wait_for_link(60)
        self.pause(0, 2)


def run(site):
    folder = site.folder("link_abuse")
    plant = SequencePlant(TAGS)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", site.pki, ["readings"]))
        consumer = stack.enter_context(Consumer(broker.port, "readings", site.pki))
        proxy = stack.enter_context(Proxy(broker.port))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(proxy.port, "readings", site.pki, idle_timeout="2s", connect_timeout="2s", ack_timeout="5s")
        configuration = {"store": OFTEN, **plant.configuration(sim.where), "cloud": cloud}
        gateway = stack.enter_context(Gateway(folder, configuration))
        gateway.start().wait_for_link()
        since_s = time.time() + 1
        campaign = Campaign(broker, proxy, gateway, random.randrange(2**32))
        for _ in range(rounds(USUAL_ROUNDS)):
            campaign.round()
        wait_until(gateway.try_status, 20, "core is there")
        gateway.wait_for_link(60)
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        consumer.wait_for_gaps()
        wait_until(lambda: gateway.status()["store"]["oldest_unsent_ms"] is None
                   or gateway.status()["link"]["in_flight"] == 0, 20, "the last outcomes are noted")  # fmt: skip
        records = []
        while page := gateway.call("attempts", after=len(records), limit=1000)["records"]:
            records += page
        campaign.skipped += sum(gateway.skipped().values())
        gateway.stop()
        record = sim.record()
        found = compare(record, consumer.view().by_tag(), plant.tags, since_s, until_s)
        # From a kill of everything until it polls again.
        down_s = sum(
            min((one["t"] for one in record if one["t"] > launched), default=until_s) - killed
            for killed, launched in zip(campaign.killed[::2], campaign.killed[1::2])
        )
        return found, consumer.view(), campaign, records, until_s - since_s, down_s


pytestmark = pytest.mark.scenario(run, turn=1)


def test_every_value_is_there_once(outcome):
    found, view, campaign, records, took_s, down_s = outcome
    counts = {name: campaign.done.count(name) for name in campaign.ways}
    print(f"{counts}, {took_s:.0f} s: {found.matched} readings, {len(found.missing)} not committed yet when all was killed, "
          f"{len(found.extra)} made up, {len(found.wrong)} wrong; {view.repeats} batches came twice and were dropped; "
          f"{len(records)} attempts recorded")  # fmt: skip
    found.assert_lost_only_near(campaign.killed, COMMIT_INTERVAL_S + SLACK_S, SLACK_S)
    slots = took_s - down_s - campaign.skipped
    assert found.matched > (slots - 2 - len(campaign.killed)) * TAGS * 0.9, str(found)


def test_no_gap_is_unexplained(outcome):
    _, view, *_ = outcome
    (store,) = view.stores()
    assert not view.missing_numbers(store)
    assert not view.losses()
    assert not view.wrong_properties
    view.check_chain()


def test_the_attempts_are_recorded_in_order(outcome):
    """A killed forebay-cloud takes along what core had not asked for yet; what it told stays in order, each once."""
    records = outcome[3]
    assert [record["number"] for record in records] == list(range(1, len(records) + 1))
    runs = {}
    for record in records:
        runs.setdefault(record["run"], []).append(record["attempt"])
    for told in runs.values():
        assert sorted(set(told)) == list(range(1, max(told) + 1)), told
    assert any(record["outcome"] == "up" for record in records)
