"""`forebay doctor` goes the link's way, names the step that fails, and whom to tell; a link that runs is not disturbed."""

import contextlib
import json
import socket
import subprocess

import pytest
from broker import Broker
from common import free_port, make_certificates, program
from gateway import Gateway, cloud_part
from impostor import Impostor, Silent, issue, issue_for_dates
from plants import SequencePlant
from simulator import Simulator

STEPS = ["dns", "tcp", "tls", "sasl", "open", "session", "attach", "credit"]
EXIT = {step: 10 + i for i, step in enumerate(STEPS)}

# case: (step, words of the reason, whom to tell, words of the advice)
CASES = {
    "name that does not exist": ("dns", "not found", "plant's IT", "must be able to resolve it"),
    "closed port": ("tcp", "refused", "plant's IT", "a firewall rejects"),
    "silent port": ("tls", "did not answer the TLS handshake", "plant's IT", "accept connections in the broker's place"),
    "TLS inspection": ("tls", "not among the authorities", "plant's IT", "TLS inspection"),
    "wrong name": ("tls", "certificate is for DNS other.example", "runs the broker", "for other names than localhost"),
    "clock wrong": ("tls", "is not valid before", "on this gateway", "clock is slow"),
    "no such user": ("sasl", "does not accept the name", "runs the broker", "signs in by certificate"),
    "no permission": ("attach", "unauthorized-access", "runs the broker", "may not write"),
    "missing queue": ("attach", "not-found", "runs the broker", "does not exist at the broker"),
}


def doctor(folder, name, configuration):
    """Exit status, report, and what a person sees."""
    gateway = Gateway(folder / name, configuration)
    words = [program("forebay"), "doctor", "-c", gateway.file]
    told = [
        subprocess.run([*words, *more], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        for more in ((), ("--json",))
    ]
    assert told[0].returncode == told[1].returncode, told
    with gateway:
        return told[0].returncode, json.loads(told[1].stdout), told[0].stdout


def make_cases(site, folder, broker, stack):
    """{case: what the cloud part has instead}"""
    own, other = site.pki, make_certificates(folder / "other-pki")

    def impostor(certificate):
        return {"port": stack.enter_context(Impostor(certificate)).port}

    def person(name):
        certificate = issue(own, name, "client", name)
        return {"certificate": certificate.with_suffix(".pem"), "key": certificate.with_suffix(".key")}

    return {
        "name that does not exist": {"host": "forebay-nowhere.invalid"},
        "closed port": {"port": free_port()},
        "silent port": {"port": stack.enter_context(Silent()).port},
        "TLS inspection": impostor(other / "server"),
        "wrong name": impostor(issue(own, "doctor-name", "server", "localhost", "DNS:other.example")),
        "clock wrong": impostor(issue_for_dates(own, "doctor-early", "20980101000000Z", "20990101000000Z")),
        "no such user": person("doctor-stranger"),
        "no permission": person("reader"),
        "missing queue": {"address": "/queues/nowhere"},
    }  # fmt: skip


def run(site):
    folder = site.folder("doctor")
    plant = SequencePlant(10)
    found = {}
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(
            Broker(folder / "broker", site.pki, ["readings"], users=("gateway", "consumer", "reader"),
                   permissions={"reader": {"configure": "", "write": "", "read": ".*"}})
        )  # fmt: skip
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        usual = cloud_part(broker.port, "readings", site.pki, connect_timeout="2s", open_timeout="8s")
        base = plant.configuration(sim.where)
        gateway = stack.enter_context(Gateway(folder / "own", {**base, "cloud": usual}))
        gateway.start().wait_for_link()
        before = gateway.status()["link"]
        found["good"] = doctor(folder, "good", {**base, "cloud": usual})
        for case, changed in make_cases(site, folder, broker, stack).items():
            found[case] = doctor(folder, case.replace(" ", "-").lower(), {**base, "cloud": {**usual, **changed}})
        found["running"] = before, gateway.status()["link"]
        spare = {key: value for key, value in usual.items() if key not in ("host", "port")}
        spare["endpoints"] = [{"host": "localhost", "port": free_port()}, {"host": "localhost", "port": broker.port}]
        found["two"] = doctor(folder, "two", {**base, "cloud": spare})
        gateway.stop()
    return found


pytestmark = pytest.mark.scenario(run, wave=3)


def test_a_good_link_passes_every_step(outcome):
    code, report, text = outcome["good"]
    assert code == 0, text
    (endpoint,) = report["endpoints"]
    assert endpoint["taken"] and [step["step"] for step in endpoint["steps"]] == STEPS
    assert all(step["result"] == "good" and step["took_ms"] >= 0 for step in endpoint["steps"])
    shown = endpoint["chain"][0]
    assert shown["subject"] == "localhost" and len(shown["sha256"]) == 64 and shown["not_after"] > shown["not_before"]
    assert shown["sha256"] in text and "The link can be made." in text


def test_the_running_link_is_left_alone(outcome):
    before, after = outcome["running"]
    assert after["state"] == "up" and after["since_ms"] == before["since_ms"]


@pytest.mark.parametrize("case", CASES)
def test_the_failing_step_is_named_and_whom_to_tell(outcome, case):
    step, words, whom, advice = CASES[case]
    code, report, text = outcome[case]
    (endpoint,) = report["endpoints"]
    assert (endpoint["step"], code) == (step, EXIT[step]), text
    assert not endpoint["taken"] and words in endpoint["reason"], endpoint
    assert whom in endpoint["whom"] and advice in endpoint["advice"], endpoint
    assert endpoint["advice"] in text and endpoint["reason"] in text
    passed = [one["step"] for one in endpoint["steps"] if one["result"] == "good"]
    assert set(passed) <= set(STEPS[: STEPS.index(step)])


def test_inspected_tls_shows_whose_certificate_it_is(outcome):
    _, report, text = outcome["TLS inspection"]
    shown = report["endpoints"][0]["chain"][0]
    assert shown["issuer"] in text and shown["sha256"] in text


def test_each_endpoint_is_examined(outcome):
    code, report, text = outcome["two"]
    assert code == EXIT["tcp"]
    assert [endpoint["taken"] for endpoint in report["endpoints"]] == [False, True], text


def test_a_silent_port_is_a_port_that_takes_connections():
    with Silent() as silent:
        socket.create_connection(("127.0.0.1", silent.port), timeout=1).close()
