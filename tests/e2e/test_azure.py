"""The profiles azure-iothub and azure-eventhubs against a peer that plays the documented protocol (azure.py)."""

import contextlib
import gzip
import json
import time

import pytest
from azure import EventHub, IotHub, Refused, check_token
from common import wait_until
from consumer import View
from gateway import Gateway
from plants import SequencePlant
from simulator import Simulator

import forebay_senml  # of tests/decoder, where consumer.py looks

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
# Of a token that must be renewed before it expires: a fifth of it is left then, in which this machine may stop a while.
RENEWED_LIFE_S = 40
RENEWED_LIFE = f"{RENEWED_LIFE_S}s"
OTHER_KEY = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


@contextlib.contextmanager
def running(site, name, peer, token_key=None, tags=4, store=None, **more):
    """A gateway whose link goes to the peer; token_key: what its key file holds."""
    folder = site.folder(name)
    plant = SequencePlant(tags)
    cloud = {"host": "localhost", "port": peer.port, "ca": site.pki / "ca.pem", "retry_first": "200ms",
             "retry_most": "2s", **more}  # fmt: skip
    if token_key is None:
        cloud |= {"certificate": site.pki / "gateway.pem", "key": site.pki / "gateway.key"}
    else:
        cloud["token_key"] = folder / "token.key"
        cloud["token_key"].write_text(token_key + "\n", encoding="ascii")
    with Simulator(folder / "sim", plant.description) as sim:
        configuration = {**plant.configuration(sim.where), "cloud": cloud}
        if store is not None:
            configuration["store"] = store
        with Gateway(folder, configuration) as gateway:
            yield gateway.start()


def view_of(peer):
    view = View()
    for message in peer.messages:
        message.id = message.id.replace(":", "/")
        view.add(message)
    return view


def link_reason(gateway, words, limit_s=30):
    """The link's status when it waits for its next try with these words as the reason."""

    def met(status):
        return status["link"]["state"] == "waiting" and words in status["link"]["reason"]

    return gateway.wait_for_status(met, limit_s, words)["link"]


def run_renewal(site):
    with IotHub(site.pki, "hub-token", key=KEY) as peer:
        with running(site, "hub-token", peer, token_key=KEY, profile="azure-iothub", token_life=RENEWED_LIFE) as gateway:
            gateway.wait_for_link()
            wait_until(lambda: len(peer.tokens) >= 3, 150, "the token is renewed twice")
            so_far = len(peer.messages)
            peer.wait_for_messages(so_far + 2)
            gateway.stop()
    return peer


@pytest.mark.scenario(run_renewal, turn=1)
def test_an_iot_hub_takes_batches_by_token_and_the_token_is_renewed_while_they_flow(outcome):
    peer = outcome
    assert peer.connections == 1 and peer.expired == 0 and peer.problems == [] and peer.refused == []
    assert peer.mechanisms == ["ANONYMOUS"]
    for (_, expiry), (renewed_s, _) in zip(peer.tokens, peer.tokens[1:]):
        # At 80 % of its life; expiry counts whole seconds.
        assert expiry - 0.25 * RENEWED_LIFE_S < renewed_s < expiry, "renewed early or late"
    assert peer.link_properties[0]["com.microsoft:client-version"].startswith("forebay/")
    assert peer.link_properties[0]["com.microsoft:api-version"] == "2021-04-12"
    view = view_of(peer)
    view.check_chain()
    assert view.wrong_properties == [] and len(view.readings()) > 20


def test_a_refused_token_names_the_services_reason_and_a_new_key_counts_without_a_restart(site):
    with IotHub(site.pki, "hub-wrong", key=KEY) as peer:
        with running(site, "hub-wrong", peer, token_key=OTHER_KEY, profile="azure-iothub") as gateway:
            link = link_reason(gateway, "InvalidSignature")
            assert link["step"] == "open"
            assert "the peer refused our token for localhost/devices/hub-wrong: 401 InvalidSignature" in link["reason"]
            (site.folder("hub-wrong") / "token.key").write_text(KEY, encoding="ascii")
            gateway.wait_for_link()
            peer.wait_for_messages(2)
            gateway.stop()
    assert peer.problems == [] and len(peer.refused) >= 1


def test_a_file_without_a_key_is_named(site):
    with IotHub(site.pki, "hub-empty", key=KEY) as peer:
        with running(site, "hub-empty", peer, token_key="not base64!", profile="azure-iothub") as gateway:
            assert "token.key: the key is not base64" in link_reason(gateway, "token.key")["reason"]
            gateway.stop()


def run_refused_renewal(site):
    with IotHub(site.pki, "hub-revoked", key=KEY) as peer:
        with running(site, "hub-revoked", peer, token_key=KEY, profile="azure-iothub", token_life=RENEWED_LIFE) as gateway:
            gateway.wait_for_link()
            peer.set_key(OTHER_KEY)
            reason = link_reason(gateway, "InvalidSignature", 90)["reason"]
            peer.set_key(KEY)
            gateway.wait_for_link()
            gateway.stop()
    return reason, peer


@pytest.mark.scenario(run_refused_renewal, turn=1)
def test_a_renewal_that_is_refused_ends_the_connection_with_its_reason(outcome):
    reason, peer = outcome
    assert "localhost/devices/hub-revoked: 401" in reason
    assert peer.expired == 0 and peer.problems == []


def test_a_peer_whose_token_expired_closes_the_link_and_it_comes_back(site):
    with IotHub(site.pki, "hub-forgets", key=KEY, keep_renewals=False) as peer:
        with running(site, "hub-forgets", peer, token_key=KEY, profile="azure-iothub", token_life="10s") as gateway:
            wait_until(lambda: peer.expired >= 1, 60, "the peer closes the link of an expired token")
            wait_until(lambda: peer.connections >= 2, 30, "the gateway connects again")
            gateway.wait_for_link()
            so_far = len(peer.messages)
            peer.wait_for_messages(so_far + 2)
            gateway.stop()
    assert peer.connections >= 2
    view = view_of(peer)
    view.check_chain()
    assert view.missing_numbers(view.stores()[0]) == []


def test_an_iot_hub_takes_a_certificate(site):
    with IotHub(site.pki, "hub-x509") as peer:
        with running(site, "hub-x509", peer, profile="azure-iothub") as gateway:
            gateway.wait_for_link()
            peer.wait_for_messages(3)
            gateway.stop()
    assert peer.tokens == [] and peer.problems == [] and peer.mechanisms[0] in ("EXTERNAL", "ANONYMOUS")


def test_an_event_hub_gets_json_within_its_limit_in_order_of_a_key(site):
    """Sealed every half minute, 300 tags make more JSON than a message may have."""
    store = {"commit_interval": "1s", "forward_interval": "30s"}
    more = {"profile": "azure-eventhubs", "address": "readings", "token_policy": "send", "encoding": "senml+json",
            "compression": "gzip"}  # fmt: skip
    with EventHub(site.pki, "readings", key=KEY, policy="send") as peer:
        with running(site, "event-hub", peer, token_key=KEY, tags=300, store=store, **more) as gateway:
            gateway.wait_for_link()
            wait_until(lambda: whole_batches(peer), 150, "a batch of several messages", every_s=0.5)
            gateway.stop()
    assert peer.problems == []
    names = {record["n"] for record in whole_batches(peer)[0].records()}
    assert names == {f"event-hub/counters/r{address}" for address in range(300)}


def whole_batches(peer):
    """Those in two messages or more that have come whole; every message of readings is as it should be."""
    batches = forebay_senml.Batches()
    for message in list(peer.messages):
        if message.subject == "event":
            continue
        assert (message.content_type, message.content_encoding) == ("application/senml+json", "gzip")
        text = gzip.decompress(bytes(message.body))
        assert len(text) <= 256 * 1024
        pack = json.loads(text)
        head = pack[0]
        assert message.id == f"{head['store']}/senml/{head['batch']}/{head['pack']}"
        batches.add(pack)
    return [batch for batch in batches.whole() if len(batch.packs) >= 2]


def test_the_peer_itself_refuses_what_it_should():
    good = "SharedAccessSignature sr=a&sig=x&se=99999999999"
    for token, words in ((good.replace("sr=a", "sr=b"), "not for a"), (good, "InvalidSignature"),
                         (good + "&skn=p", "unknown policy")):  # fmt: skip
        with pytest.raises(Refused, match=words):
            check_token(token, "a", b"key", None, time.time())
