"""A link that cannot be made says at which step it failed and exactly why."""

import contextlib
import socket
import ssl
import subprocess
import threading
import time

import pytest
from common import TESTS, free_port, make_certificates
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator


class Impostor:
    """A TLS server that shows a certificate and goes no further."""

    def __init__(self, certificate, newest=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.with_suffix(".pem"), certificate.with_suffix(".key"))
        if newest is not None:
            self.context.set_ciphers("DEFAULT:@SECLEVEL=0")
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = newest
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(0.1)
        self.port = self.server.getsockname()[1]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        while not self.ending.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self.server.accept()
                with connection:
                    connection.settimeout(1)
                    with self.context.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(5)
        self.server.close()


def issue(pki, name, *words):
    subprocess.run([TESTS / "pki.sh", pki, name, *words], check=True)
    return pki / name


def issue_for_dates(pki, name, start, end):
    """A server certificate that is valid between two dates such as 20200101000000Z."""
    issue(pki, name, "server", "localhost", "DNS:localhost")
    folder = pki / f"{name}-issued"
    folder.mkdir()
    (folder / "index").touch()
    (folder / "ca.conf").write_text(
        f"[ca]\ndefault_ca=one\n[one]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=any\nx509_extensions=server\n[any]\ncommonName=supplied\n"
        "[server]\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost\n",
        encoding="ascii",
    )  # fmt: skip
    request = folder / "request"
    subprocess.run(
        ["openssl", "req", "-new", "-key", pki / f"{name}.key", "-subj", "/CN=localhost", "-out", request], check=True
    )
    subprocess.run(
        ["openssl", "ca", "-batch", "-notext", "-config", folder / "ca.conf", "-cert", pki / "ca.pem", "-keyfile",
         pki / "ca.key", "-startdate", start, "-enddate", end, "-in", request, "-out", pki / f"{name}.pem"],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return pki / name


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
