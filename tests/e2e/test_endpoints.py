"""Several endpoints: the link goes to the next one that takes it, back to the preferred one, and every attempt on the
way is recorded, also when core is killed in the middle."""

import contextlib
import random
import time

import pytest
from common import wait_until
from compare import compare
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from proxy import Proxy
from simulator import Simulator

TAGS = 50
RETURN_AFTER_S = 2


def up_at(gateway, proxy, limit_s=20):
    """Wait for the link at the proxy; that status."""
    return gateway.wait_for_status(
        lambda now: now["link"]["state"] == "up" and now["link"]["endpoint"].endswith(f":{proxy.port}"),
        limit_s, f"the link is up at port {proxy.port}",
    )["link"]  # fmt: skip


def accept_one(gateway, link):
    """Wait until the peer has accepted something in this connection: only then the endpoint counts as one that works."""
    gateway.wait_for_status(lambda now: now["link"]["accepted"] > link["accepted"], 10, "a batch is accepted")


def attempts(gateway):
    return gateway.call("attempts", after=0, limit=1000)["records"]


def asked_in_vain(gateway):
    """Attempts to go back to the preferred endpoint that have failed."""
    return [one for one in attempts(gateway) if (one["what"], one["outcome"]) == ("return", "failed")]


def run(site):
    folder = site.folder("endpoints")
    plant = SequencePlant(TAGS)
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "endpoints", site.pki))
        first = stack.enter_context(Proxy(site.broker.port))
        second = stack.enter_context(Proxy(site.broker.port))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(0, "endpoints", site.pki, idle_timeout="3s", connect_timeout="1s")
        del cloud["host"], cloud["port"]
        cloud |= {
            "endpoints": [{"host": "localhost", "port": proxy.port} for proxy in (first, second)],
            "return_after": f"{RETURN_AFTER_S}s",
        }
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start()
        since_s = time.time() + 1
        accept_one(gateway, up_at(gateway, first))
        first.refuse()
        up_at(gateway, second)
        accepted = second.accepted
        wait_until(lambda: asked_in_vain(gateway), 30, "the preferred one is asked, and does not take it", every_s=0.2)
        beside = up_at(gateway, second), second.accepted - accepted
        first.mend()
        accept_one(gateway, up_at(gateway, first))
        first.stall()  # it takes connections, and says nothing
        up_at(gateway, second, 30)
        first.reset()
        first.mend()
        for _ in range(3):
            second.reset()
            gateway.kill("forebay-core")
            time.sleep(random.uniform(0, 0.5))
            second.reset()
        up_at(gateway, first, 30)
        until_s = time.time()
        consumer.wait_for_readings(plant.tags, until_s)
        consumer.wait_for_gaps()
        before = up_at(gateway, first)
        first.reset()
        gateway.wait_for_status(lambda now: now["link"]["since_ms"] != before["since_ms"], 20, "the end is noticed")
        up_at(gateway, first)
        records = attempts(gateway)
        slots = until_s - since_s - sum(gateway.skipped().values())
        gateway.stop()
        found = compare(sim.record(), consumer.view().by_tag(), plant.tags, since_s, until_s)
        return found, consumer.view(), records, beside, (first.port, second.port), slots


pytestmark = pytest.mark.scenario(run, turn=1)


def test_nothing_is_lost(outcome):
    """Not by the killed cores either: forebay-field keeps what they had not committed."""
    found, view, *_, slots = outcome
    found.assert_equal(at_least=int(slots - 2) * TAGS)
    (store,) = view.stores()
    assert not view.missing_numbers(store)
    assert not view.losses()
    view.check_chain()


def test_while_the_preferred_one_is_asked_the_link_stays_where_it_is(outcome):
    status, connections = outcome[3]
    assert status["state"] == "up" and connections == 0


def test_every_attempt_is_recorded_without_a_gap(outcome):
    records = outcome[2]
    assert [record["number"] for record in records] == list(range(1, len(records) + 1))
    runs = {}
    for one in records:
        runs.setdefault(one["run"], set()).add(one["attempt"])
        assert "lost_before" not in one
    (told,) = runs.values()
    assert told == set(range(1, len(told) + 1))


def test_the_records_tell_the_story(outcome):
    _, _, records, _, (first, second), _ = outcome
    story = [(one["what"], one["outcome"], int(one["endpoint"].rpartition(":")[2])) for one in records]
    place = 0
    for chapter in (
        ("attempt", "up", first), ("connection", "broken", first), ("attempt", "failed", first),
        ("attempt", "up", second), ("return", "failed", first), ("return", "up", first), ("connection", "closed", second),
        ("attempt", "up", first), ("connection", "broken", first), ("attempt", "failed", first),
        ("attempt", "up", second), ("attempt", "up", first),
    ):  # fmt: skip
        assert chapter in story[place:], (chapter, story[place:], story)
        place += story[place:].index(chapter) + 1
    for one in records:
        assert one["started_ms"] > 0 and one["duration_ms"] >= 0 and one["step"]
        if one["outcome"] == "up":
            assert one["peer"] and one["chain"][0]["sha256"] and one["tls"].startswith("TLSv1.3")
            assert one["bytes_in"] > 0 and one["bytes_out"] > 0
        else:
            assert one["reason"]
