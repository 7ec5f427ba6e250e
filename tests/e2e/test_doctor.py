"""`forebay doctor` goes the link's way, names the step that fails, and whom to tell; a link that runs is not disturbed."""

import contextlib
import json
import os
import re
import subprocess

import pytest
from authority import issue, issue_for_dates
from broker import PLAIN_ONLY, Broker
from common import free_port, make_certificates, program
from gateway import Gateway, cloud_part
from impostor import Impostor, Silent
from plants import SequencePlant
from simulator import Simulator

STEPS = ["dns", "tcp", "tls", "sasl", "open", "session", "attach", "credit"]
EXIT = {step: 10 + i for i, step in enumerate(STEPS)}

# The least that RabbitMQ takes; it is less than the 3 s that it thinks about a refusal.
LEAST = {"idle_timeout": "2s"}
# case: (step, words of the reason, whom to tell, words of the advice)
CASES = {
    "name that does not exist": ("dns", "not found", "plant's IT", "must be able to resolve it"),
    "closed port": ("tcp", "refused", "plant's IT", "a firewall rejects"),
    "silent port": ("tls", "did not answer the TLS handshake", "plant's IT", "accept connections in the broker's place"),
    "TLS inspection": ("tls", "not among the authorities", "plant's IT", "TLS inspection"),
    "wrong name": ("tls", "certificate is for DNS other.example", "runs the broker", "for other names than localhost"),
    "clock wrong": ("tls", "is not valid before", "on this gateway", "clock is slow"),
    "no EXTERNAL": ("sasl", "ways to sign in (EXTERNAL); it offers PLAIN", "runs the broker", "rabbitmq_auth_mechanism_ssl"),
    "no such user": ("sasl", "does not accept the name", "runs the broker", "signs in by certificate"),
    "no permission": ("attach", "unauthorized-access", "runs the broker", "may not write"),
    "missing queue": ("attach", "not-found", "runs the broker", "does not exist at the broker"),
}


def namespace(script, *more):
    """Words before a command that is to run in mount (and more) namespaces of its own, after the script."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", "--mount", *more, *user, "sh", "-ec", script + '; exec "$@"', "sh"]


def doctor(folder, name, configuration, before=()):
    """Exit status, report, and what a person sees."""
    gateway = Gateway(folder / name, configuration)
    words = [*before, program("forebay"), "doctor", "-c", gateway.file]
    told = [
        subprocess.run([*words, *more], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        for more in ((), ("--json",))
    ]
    assert told[0].returncode == told[1].returncode and told[1].stdout, told
    with gateway:
        return told[0].returncode, json.loads(told[1].stdout), told[0].stdout


def make_cases(own, folder, stack):
    """{case: what the cloud part has instead}"""
    other = make_certificates(folder / "other-pki")

    def impostor(certificate):
        return {"port": stack.enter_context(Impostor(certificate)).port}

    def person(name):
        certificate = issue(own, name, "client", name)
        return {"certificate": certificate.with_suffix(".pem"), "key": certificate.with_suffix(".key")}

    return {
        "name that does not exist": {"host": "forebay-nowhere.invalid"},
        "closed port": {"port": free_port()},
        "silent port": {"port": stack.enter_context(Silent()).port, "connect_timeout": "2s"},
        "TLS inspection": impostor(other / "server"),
        "wrong name": impostor(issue(own, "doctor-name", "server", "localhost", "DNS:other.example")),
        "clock wrong": impostor(issue_for_dates(own, "doctor-early", "20980101000000Z", "20990101000000Z")),
        "no EXTERNAL": {"port": stack.enter_context(Broker(folder / "plain", own, ["readings"], settings=PLAIN_ONLY)).port},
        "no such user": {**person("doctor-stranger"), **LEAST},
        "no permission": person("reader"),
        "missing queue": {"address": "/queues/nowhere"},
    }  # fmt: skip


def run(site):
    folder = site.folder("doctor")
    plant = SequencePlant(10)
    found = {}
    pki = make_certificates(folder / "pki")
    issue(pki, "server", "server", "localhost", "DNS:localhost,DNS:two.example")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(
            Broker(folder / "broker", pki, ["readings"], users=("gateway", "consumer", "reader"),
                   permissions={"reader": {"configure": "", "write": "", "read": ".*"}})
        )  # fmt: skip
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        usual = cloud_part(broker.port, "readings", pki)
        base = plant.configuration(sim.where)
        gateway = stack.enter_context(Gateway(folder / "own", {**base, "cloud": usual}))
        gateway.start().wait_for_link()
        before = gateway.status()["link"]
        found["good"] = doctor(folder, "good", {**base, "cloud": {**usual, **LEAST}})
        for case, changed in make_cases(pki, folder, stack).items():
            found[case] = doctor(folder, case.replace(" ", "-").lower(), {**base, "cloud": {**usual, **changed}})
        found["running"] = before, gateway.status()["link"]
        found["topic"] = topic_right(folder, base, usual, broker, pki)
        spare = {key: value for key, value in usual.items() if key not in ("host", "port")}
        spare["endpoints"] = [{"host": "localhost", "port": free_port()}, {"host": "localhost", "port": broker.port}]
        found["two"] = doctor(folder, "two", {**base, "cloud": spare})
        found["stalled address"] = doctor_with_two_addresses(folder, {**base, "cloud": usual}, broker.port)
        gateway.stop()
    return found


def topic_right(folder, base, usual, broker, pki):
    """A user with the right to the exchange, and to another topic than its own: what doctor finds, and the running link."""
    more = {
        "exchanges": [
            {"name": "topics", "vhost": "/", "type": "topic", "durable": True, "auto_delete": False, "arguments": {}}
        ],
        "users": [{"name": "keyed", "password_hash": "", "tags": []}],
        "permissions": [{"user": "keyed", "vhost": "/", "configure": "", "write": "^topics$", "read": ""}],
        "topic_permissions": [{"user": "keyed", "vhost": "/", "exchange": "topics", "write": "^keyed$", "read": ""}],
    }
    (broker.folder / "more.json").write_text(json.dumps(more), encoding="utf-8")
    broker.control("import_definitions", "/mnt/more.json")
    own = issue(pki, "keyed", "client", "keyed")
    cloud = {**usual, "address": "/exchanges/topics/other", "certificate": own.with_suffix(".pem"),
             "key": own.with_suffix(".key")}  # fmt: skip
    told = doctor(folder, "topic", {**base, "cloud": cloud})
    with Gateway(folder / "topic-runs", {**base, "cloud": cloud}) as gateway:
        gateway.start()
        link = gateway.wait_for_status(lambda now: "amqp:" in now["link"]["reason"], 20, "the broker ends the link")["link"]
        gateway.stop()
    return told, link


def doctor_with_two_addresses(folder, configuration, port):
    """The first address of the host takes connections and says nothing; the second one is the broker's."""
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.2 two.example\n127.0.0.1 two.example\n", encoding="ascii")
    configuration["cloud"] = {**configuration["cloud"], "host": "two.example", "connect_timeout": "3s"}
    with Silent("127.0.0.2", port):
        return doctor(folder, "stalled-address", configuration, namespace(f"mount --bind {hosts} /etc/hosts"))


def timeless(text):
    """What is the same each time: doctor was run once for a person and once for JSON."""
    return re.sub(r"the clock here says [-\d]+ [:\d]+ UTC", "the clock", text)


scenario = pytest.mark.scenario(run, turn=3)


@scenario
def test_a_good_link_passes_every_step(outcome):
    code, report, text = outcome["good"]
    assert code == 0, text
    (endpoint,) = report["endpoints"]
    assert endpoint["taken"] and [step["step"] for step in endpoint["steps"]] == STEPS
    assert all(step["result"] == "good" and step["took_ms"] >= 0 for step in endpoint["steps"])
    shown = endpoint["chain"][0]
    assert shown["subject"] == "localhost" and len(shown["sha256"]) == 64 and shown["until_ms"] > shown["from_ms"]
    assert shown["sha256"] in text and "The link can be made." in text


@scenario
def test_the_running_link_is_left_alone(outcome):
    before, after = outcome["running"]
    assert after["state"] == "up" and after["since_ms"] == before["since_ms"]


@scenario
@pytest.mark.parametrize("case", CASES)
def test_the_failing_step_is_named_and_whom_to_tell(outcome, case):
    step, words, whom, advice = CASES[case]
    code, report, text = outcome[case]
    (endpoint,) = report["endpoints"]
    assert (endpoint["step"], code) == (step, EXIT[step]), text
    assert not endpoint["taken"] and words in endpoint["reason"], endpoint
    assert whom in endpoint["whom"] and advice in endpoint["advice"], endpoint
    assert endpoint["advice"] in text and timeless(endpoint["reason"]) in timeless(text)
    passed = [one["step"] for one in endpoint["steps"] if one["result"] == "good"]
    assert set(passed) <= set(STEPS[: STEPS.index(step)])


@scenario
def test_a_missing_topic_right_is_not_found_and_not_denied(outcome):
    (code, report, text), link = outcome["topic"]
    details = {step["step"]: step["detail"] for step in report["endpoints"][0]["steps"]}
    assert code == 0 and details["attach"] == "the broker has attached us to /exchanges/topics/other", text
    assert details["credit"] == "it takes messages; none was sent", text
    assert "amqp:unauthorized-access: write access to topic 'other' in exchange 'topics'" in link["reason"], link


@scenario
def test_inspected_tls_shows_whose_certificate_it_is(outcome):
    _, report, text = outcome["TLS inspection"]
    shown = report["endpoints"][0]["chain"][0]
    assert shown["issuer"] in text and shown["sha256"] in text


@scenario
def test_each_endpoint_is_examined(outcome):
    code, report, text = outcome["two"]
    assert code == EXIT["tcp"]
    assert [endpoint["taken"] for endpoint in report["endpoints"]] == [False, True], text


@scenario
def test_an_address_that_stalls_does_not_end_the_attempt(outcome):
    code, report, text = outcome["stalled address"]
    (endpoint,) = report["endpoints"]
    assert code == 0 and endpoint["taken"] and endpoint["peer"] == "127.0.0.1", text
    (failed,) = endpoint["failed_addresses"]
    assert (failed["address"], failed["step"]) == ("127.0.0.2", "tls"), failed
    assert "did not answer the TLS handshake in 3000 ms" in failed["reason"] and failed["reason"] in text


# What a network without a way out does: (script in its namespace, step, words of the reason, words of the advice)
# A cable that nobody looks at the end of swallows what is sent into it, as a firewall does that drops.
DROPPED = (
    "ip link add drop type veth peer name end; ip link set end up; ip addr add 192.0.2.2/24 dev drop; "
    "ip link set drop arp off up"
)
NETWORKS = {
    "silent name server": (
        DROPPED, "broker.example", "dns", "the name servers gave no address for broker.example in 1000 ms",
        "do not answer. Allow it to reach them on port 53",
    ),
    "filtered port": (
        DROPPED, "192.0.2.1", "tcp", "192.0.2.1 port 5671: no answer in time", "a firewall on the way drops",
    ),
    "no route": ("true", "192.0.2.1", "tcp", "Network is unreachable", "This network has no way to 192.0.2.1"),
}  # fmt: skip


@pytest.mark.parametrize("network", NETWORKS)
def test_what_the_network_lacks_is_named(network, site, tmp_path):
    script, host, step, reason, advice = NETWORKS[network]
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 192.0.2.53\n", encoding="ascii")
    cloud = cloud_part(5671, "readings", site.pki, host=host, connect_timeout="1s")
    before = namespace(f"ip link set lo up; mount --bind {resolv} /etc/resolv.conf; {script}", "--net", "--pid", "--fork",
                       "--kill-child")  # fmt: skip
    plant = SequencePlant(1).configuration({"hall-1": 1502})
    code, report, text = doctor(tmp_path, "network", {**plant, "cloud": cloud}, before)
    (endpoint,) = report["endpoints"]
    assert (endpoint["step"], code) == (step, EXIT[step]), text
    assert reason in endpoint["reason"] and advice in endpoint["advice"] and "plant's IT" in endpoint["whom"], text


@pytest.mark.parametrize("wrong, code", [("no such file", 3), ("no cloud", 3), ("no key", 4), ("no such option", 2)])
def test_what_is_wrong_before_the_first_step(wrong, code, site, tmp_path):
    cloud = cloud_part(5671, "readings", site.pki)
    plant = SequencePlant(1).configuration({"hall-1": 1502})
    if wrong == "no key":
        cloud["key"] = tmp_path / "nowhere.key"
    with Gateway(tmp_path / "own", plant if wrong == "no cloud" else {**plant, "cloud": cloud}) as gateway:
        file = "/nowhere.yaml" if wrong == "no such file" else str(gateway.file)
        more = ["--fast"] if wrong == "no such option" else []
        assert gateway.command("doctor", "-c", file, *more, code=code)
