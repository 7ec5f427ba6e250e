"""A link that cannot be made says at which step it failed and exactly why."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from authority import issue, issue_for_dates, pin, revoke
from broker import Broker
from common import free_port, make_certificates, wait_until
from gateway import Gateway, cloud_part
from impostor import Impostor
from plants import SequencePlant
from simulator import Simulator


class OpensslServer:
    """`openssl s_server` with a certificate and these options, for what Python's ssl cannot be made to offer."""

    def __init__(self, certificate, *options):
        self.port = free_port()
        self.words = [
            "openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert", certificate.with_suffix(".pem"),
            "-key", certificate.with_suffix(".key"), "-quiet", *options,
        ]  # fmt: skip

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._listens, 10, "openssl s_server listens")
        return self

    def _listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(5)


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
    "CBC cipher suites only": ("tls", ["none of our cipher suites"]),
    "meant for a client": ("tls", ["not meant for a server (extended key usage)"]),
    "another key than pinned": ("tls", ["no key of its chain is among the pins; its own is sha256:"]),
    "revoked": ("tls", ["certificate of localhost was revoked on 20"]),
    "list of another authority": ("tls", ["of forebay throw-away authority is not signed by that authority"]),
    "list expired": ("tls", ["list of revoked certificates of forebay throw-away authority expired on 2021-01-01"]),
    "list not there": ("tls", ["crl-nowhere.pem: no such file or directory"]),
    "our certificate expired": ("tls", ["own-expired.pem: certificate of gateway expired on 2021-01-01"]),
    "our key is another's": ("tls", ["consumer.key: does not belong to the certificate"]),
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

    def revoked_by(path):
        return {"port": broker, "crl": [path]}

    def ours(certificate, key):
        return {"port": broker, "certificate": certificate.with_suffix(".pem"), "key": key.with_suffix(".key")}

    stranger = issue(own, "stranger", "client", "stranger")
    old = issue_for_dates(own, "own-expired", "20200101000000Z", "20210101000000Z", "client", "gateway")
    cbc = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA")
    return {
        "nobody listens": {"port": free_port()},
        "unknown name": {"host": "forebay-nowhere.invalid"},
        "wrong name": impostor(issue(own, "wrong-name", "server", "localhost", "DNS:other.example")),
        "name in the CN alone": impostor(issue(own, "name-in-cn", "server", "localhost")),
        "expired": impostor(issue_for_dates(own, "expired", "20200101000000Z", "20210101000000Z")),
        "not yet valid": impostor(issue_for_dates(own, "early", "20980101000000Z", "20990101000000Z")),
        "unknown authority": impostor(other / "server"),
        "TLS 1.1": impostor(own / "server", ssl.TLSVersion.TLSv1_1),
        "CBC cipher suites only": {"port": stack.enter_context(OpensslServer(own / "server", *cbc)).port},
        "meant for a client": impostor(issue(own, "client-only", "client", "localhost", "DNS:localhost")),
        "another key than pinned": {"port": broker, "pin": [pin(own / "gateway.pem"), pin(other / "ca.pem")]},
        "revoked": revoked_by(revoke(own, "crl-revoked", "server")),
        "list of another authority": revoked_by(revoke(other, "crl")),
        "list expired": revoked_by(revoke(own, "crl-old", start="20200101000000Z", end="20210101000000Z")),
        "list not there": revoked_by(own / "crl-nowhere.pem"),
        "our certificate expired": ours(old, old),
        "our key is another's": ours(own / "gateway", own / "consumer"),
        "a client certificate of another authority": {
            "port": broker, "certificate": other / "gateway.pem", "key": other / "gateway.key"
        },
        "a user that the broker does not know": {
            "port": broker, "certificate": stranger.with_suffix(".pem"), "key": stranger.with_suffix(".key")
        },
        "a queue that is not there": {"port": broker, "address": "/queues/nowhere"},
    }  # fmt: skip


def reason_of(gateway, began_ms, port):
    """Step and reason of the first attempt at this port that failed since."""

    def failed(now):
        link = now["link"]
        own = link["endpoint"].endswith(f":{port}")
        return own and link["state"] == "waiting" and link["reason"] and link["since_ms"] >= began_ms

    link = gateway.wait_for_status(failed, 30, "the attempt fails and says why")["link"]
    return link["step"], link["reason"]


def run(site):
    folder = site.folder("certificates")
    plant = SequencePlant(10)
    found = {}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cases = make_cases(site, folder, stack)
        usual = cloud_part(site.broker.port, "input", site.pki)
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": usual}))
        gateway.start().wait_for_link()
        for case, changed in cases.items():
            began_ms = time.time() * 1000
            cloud = {**usual, **changed}
            gateway.configure({**plant.configuration(sim.where), "cloud": cloud})
            gateway.reload()
            found[case] = reason_of(gateway, began_ms, cloud["port"])
            gateway.configure({**plant.configuration(sim.where), "cloud": usual})
            gateway.reload()
            gateway.wait_for_link()
        gateway.stop()
    return found


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")  # the impostor is meant to be out of date
@pytest.mark.scenario(run, turn=3)
@pytest.mark.parametrize("case", CASES)
def test_step_and_reason(outcome, case):
    step, words = CASES[case]
    got_step, reason = outcome[case]
    assert got_step == step, outcome[case]
    assert any(word in reason.lower() for word in words), outcome[case]


# The same from a real broker, which is started with the certificate or the lines of configuration.
REAL_CASES = {
    "wrong name": ("certificate is for dns other.example, not for localhost", ["wrong-name"]),
    "name in the CN alone": ("has no subject alternative name", ["name-in-cn"]),
    "expired": ("expired on 2021-01-01", ["expired"]),
    "not yet valid": ("is not valid before 2098", ["early"]),
    "unknown authority": ("is not among the authorities in", ["unknown"]),
    "meant for a client": ("is not meant for a server", ["client-only"]),
    "TLS 1.1": ("or nothing newer than tls 1.1", ["server", "ssl_options.versions.1 = tlsv1.1"]),
    "CBC cipher suites only": (
        "has no cipher suite that is ours, too",
        ["server", "ssl_options.versions.1 = tlsv1.2", "ssl_options.ciphers.1 = ECDHE-ECDSA-AES128-SHA256"],
    ),
}  # fmt: skip


def make_real_certificates(folder):
    """An authority whose server can have any of the wrong certificates."""
    pki = make_certificates(folder / "real-pki")
    issue(pki, "wrong-name", "server", "localhost", "DNS:other.example")
    issue(pki, "name-in-cn", "server", "localhost")
    issue(pki, "client-only", "client", "localhost", "DNS:localhost")
    issue_for_dates(pki, "expired", "20200101000000Z", "20210101000000Z")
    issue_for_dates(pki, "early", "20980101000000Z", "20990101000000Z")
    other = make_certificates(folder / "foreign-pki")
    for ending in ("pem", "key"):
        shutil.copy(other / f"server.{ending}", pki / f"unknown.{ending}")
    return pki


def run_real(site):
    folder = site.folder("certificates_real")
    pki = make_real_certificates(folder)
    plant = SequencePlant(10)
    found = {}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        gateway = stack.enter_context(Gateway(folder, plant.configuration(sim.where)))
        gateway.start()
        for number, (case, (_, shown)) in enumerate(REAL_CASES.items()):
            with real_broker(folder / f"broker-{number}", pki, *shown) as broker:
                cloud = cloud_part(broker.port, "input", pki)
                began_ms = time.time() * 1000
                gateway.configure({**plant.configuration(sim.where), "cloud": cloud})
                gateway.reload()
                found[case] = reason_of(gateway, began_ms, broker.port)
                broker.kill()
        gateway.stop()
    return found


def real_broker(folder, pki, certificate, *lines):
    shown = shutil.copytree(pki, folder / "pki")
    for ending in ("pem", "key"):
        shutil.copy(pki / f"{certificate}.{ending}", shown / f"server.{ending}")
    broker = Broker(folder, shown, ["input"])
    with open(folder / "rabbitmq.conf", "a", encoding="utf-8") as configuration:
        configuration.writelines(line + "\n" for line in lines)
    return broker


@pytest.mark.scenario(run_real, turn=3)
@pytest.mark.parametrize("case", REAL_CASES)
def test_a_real_broker_is_refused_for_the_same_reasons(outcome, case):
    step, reason = outcome[case]
    assert step == "tls" and REAL_CASES[case][0] in reason.lower(), outcome[case]
