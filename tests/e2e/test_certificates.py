"""A link that cannot be made says at which step it failed and exactly why."""

import contextlib
import ssl
import time

import pytest
from common import free_port, make_certificates
from gateway import Gateway, cloud_part
from impostor import Impostor, issue, issue_for_dates
from plants import SequencePlant
from simulator import Simulator


# case: (the step at which it ends, words of the reason, one of which must be there)
CASES = {
    "nobody listens": ("tcp", ["refused"]),
    "unknown name": ("dns", ["forebay-nowhere.invalid"]),
    "wrong name": ("tls", ["other.example"]),
    "name in the CN alone": ("tls", ["localhost"]),
    "expired": ("tls", ["expired"]),
    "not yet valid": ("tls", ["not valid before"]),
    "unknown authority": ("tls", ["issuer", "authority", "self-signed", "self signed"]),
    "TLS 1.1": ("tls", ["version", "protocol"]),
    "a client certificate of another authority": ("tls", ["unknown ca", "unknown_ca", "authority"]),
    "a user that the broker does not know": ("sasl", ["unauthorized", "not authorized", "refused", "auth"]),
    "a queue that is not there": ("attach", ["no queue", "not found", "not-found"]),
}


def make_cases(site, folder, stack):
    """{case: what the cloud part has instead}"""
    own, other = site.pki, make_certificates(folder / "other-pki")
    broker = site.broker.port

    def impostor(certificate, newest=None):
        return {"port": stack.enter_context(Impostor(certificate, newest)).port}

    stranger = issue(own, "stranger", "client", "stranger")
    return {
        "nobody listens": {"port": free_port()},
        "unknown name": {"host": "forebay-nowhere.invalid"},
        "wrong name": impostor(issue(own, "wrong-name", "server", "localhost", "DNS:other.example")),
        "name in the CN alone": impostor(issue(own, "name-in-cn", "server", "localhost")),
        "expired": impostor(issue_for_dates(own, "expired", "20200101000000Z", "20210101000000Z")),
        "not yet valid": impostor(issue_for_dates(own, "early", "20980101000000Z", "20990101000000Z")),
        "unknown authority": impostor(other / "server"),
        "TLS 1.1": impostor(own / "server", ssl.TLSVersion.TLSv1_1),
        "a client certificate of another authority": {
            "port": broker, "certificate": other / "gateway.pem", "key": other / "gateway.key"
        },
        "a user that the broker does not know": {
            "port": broker, "certificate": stranger.with_suffix(".pem"), "key": stranger.with_suffix(".key")
        },
        "a queue that is not there": {"port": broker, "address": "/queues/nowhere"},
    }  # fmt: skip


def reason_of(gateway, began_ms):
    """Step and reason of the first attempt that failed since."""

    def failed(now):
        link = now["link"]
        return link["state"] == "waiting" and link["reason"] and link["since_ms"] >= began_ms

    link = gateway.wait_for_status(failed, 15, "the attempt fails and says why")["link"]
    return link["step"], link["reason"]


def run(site):
    folder = site.folder("certificates")
    plant = SequencePlant(10)
    found = {}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cases = make_cases(site, folder, stack)
        usual = cloud_part(site.broker.port, "input", site.pki, connect_timeout="3s", open_timeout="8s")
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": usual}))
        gateway.start().wait_for_link()
        for case, changed in cases.items():
            began_ms = time.time() * 1000
            gateway.configure({**plant.configuration(sim.where), "cloud": {**usual, **changed}})
            gateway.reload()
            found[case] = reason_of(gateway, began_ms)
            gateway.configure({**plant.configuration(sim.where), "cloud": usual})
            gateway.reload()
            gateway.wait_for_link()
        gateway.stop()
    return found


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")  # the impostor is meant to be out of date
@pytest.mark.scenario(run, wave=3)
@pytest.mark.parametrize("case", CASES)
def test_step_and_reason(outcome, case):
    step, words = CASES[case]
    got_step, reason = outcome[case]
    assert got_step == step, outcome[case]
    assert any(word in reason.lower() for word in words), outcome[case]
