"""The consumers of docs/examples against the real broker: the Python one, the JavaScript one and `forebay receive` get the
same messages and must print the same readings, over a restart of the broker, too. And the same plant as JSON (SenML), value by value."""

import contextlib
import json
import os
import struct
import subprocess
import time

import pytest
from authority import issue
from broker import Broker
from common import PYTHON, TESTS, TOP, free_port, make_certificates, program, wait_until
from compare import compare
from consumer import Consumer, Reading
from gateway import Gateway, cloud_part
from plants import MixedPlant, SequencePlant
from simulator import Simulator

import forebay_senml  # of tests/decoder, where consumer.py looks
import zstandard

EXAMPLES = TOP / "docs" / "examples" / "consumers"
DURATION_S = 8
COMMON = ("gateway", "store", "batch", "tag", "instrument", "name", "unit", "time_ms", "value", "quality", "detail")


QUEUES = ("python", "javascript", "receive")
LANGUAGES = ("python", "javascript")
NOTHING = {"configure": "", "write": "", "read": ""}
# What will not mend by itself. case: (whose certificate, queue, words of the last line of each language)
REFUSALS = {
    "unknown authority": ("consumer", "python", "certificate verify failed", "self-signed certificate in certificate chain"),
    "foreign certificate": ("foreign", "python", "alert unknown ca", "alert unknown ca"),
    "no such user": ("stranger", "python", "amqp:unauthorized-access: Auth", "amqp:unauthorized-access: Failed to auth"),
    "no permission": ("blind", "python", *2 * ("amqp:unauthorized-access: read access to queue 'python' in vhost",)),
    "missing queue": ("consumer", "nowhere", *2 * ("/queues/nowhere: amqp:not-found: no queue 'nowhere'",)),
}


@pytest.fixture(scope="module", name="own")
def own_broker(site):
    """A broker that may be restarted: every consumer's queue gets a copy of what comes to /exchanges/all."""
    folder = site.folder("consumers-broker")
    pki = make_certificates(folder / "pki")
    with Broker(folder / "broker", pki, QUEUES, users=("gateway", "consumer", "blind"), exchanges={"all": QUEUES},
                permissions={"blind": NOTHING}) as broker:  # fmt: skip
        yield broker


@pytest.fixture(scope="module", name="modules")
def environment_of_javascript():
    done = subprocess.run([TESTS / "peers.sh", EXAMPLES / "javascript"], check=True, capture_output=True, text=True)
    return {**os.environ, "NODE_PATH": f"{done.stdout.strip()}/node_modules"}


def words_of(name, port, queue, ca, certificate):
    """The command of a consumer. certificate: its path without .pem."""
    url, pem, key = f"amqps://localhost:{port}", certificate.with_suffix(".pem"), certificate.with_suffix(".key")
    options = ["--ca", ca, "--certificate", pem, "--key", key]
    return {
        "python": [PYTHON, "-B", EXAMPLES / "python/consume.py", url, f"/queues/{queue}", *options],
        "javascript": ["node", EXAMPLES / "javascript/consume.js", "localhost", str(port), f"/queues/{queue}", ca, pem, key],
        "receive": [program("forebay"), "receive", "--from", f"{url}/queues/{queue}", *options],
    }[name]  # fmt: skip


@contextlib.contextmanager
def printing(folder, words, environment):
    """The command, its output in a file; ended at the end."""
    path = folder / "lines"
    with open(path, "wb") as lines, open(folder / "errors", "wb") as errors:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=lines, stderr=errors, env=environment)
    try:
        yield path
        assert process.poll() is None, (folder / "errors").read_text(encoding="utf-8")
    finally:
        process.terminate()
        process.wait(10)


def lines_in(path):
    """{(tag, time): the line's common fields}, each once."""
    found = {}
    for text in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not text.endswith("\n"):
            break  # still being written
        line = json.loads(text)
        key = line["tag"], line["time_ms"]
        assert key not in found, f"twice: {line}"
        found[key] = {name: line[name] for name in COMMON}
    return found


def waiting(broker):
    """Messages that no consumer has accepted yet."""
    listed = broker.control("list_queues", "name", "messages", "--formatter", "json")
    return sum(one["messages"] for one in listed if one["name"] in QUEUES)


def test_all_consumers_print_the_same_readings_over_a_restart_of_the_broker(own, modules, site):
    folder, plant = site.folder("consumers"), SequencePlant(5)
    with contextlib.ExitStack() as stack:
        paths = {}
        for name in QUEUES:
            (folder / name).mkdir()
            words = words_of(name, own.port, name, own.pki / "ca.pem", own.pki / "consumer")
            more = ["--state", folder / name / "state"] if name == "receive" else []
            paths[name] = stack.enter_context(printing(folder / name, [*words, *more], modules))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(own.port, "", own.pki, address="/exchanges/all")
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        for name, path in paths.items():
            wait_until(lambda one=path: len(lines_in(one)) >= 20, 40, f"{name} prints twenty readings")
        own.stop()
        for name in LANGUAGES:
            errors = folder / name / "errors"
            wait_until(lambda one=errors: "forced" in one.read_text(encoding="utf-8"), 20, f"{name} says what happened")
        own.start()
        gateway.wait_for_link()
        before = max(map(len, map(lines_in, paths.values())))
        for name, path in paths.items():
            wait_until(lambda one=path: len(lines_in(one)) >= before + 20, 40, f"{name} prints twenty more")
        gateway.stop()
        wait_until(lambda: not waiting(own), 30, "every queue is empty")
        count = max(map(len, map(lines_in, paths.values())))
        for name, path in paths.items():
            wait_until(lambda one=path: len(lines_in(one)) == count, 20, f"{name} prints all {count} readings")
        found = {name: lines_in(path) for name, path in paths.items()}
        for name in LANGUAGES:
            for line in (folder / name / "errors").read_text(encoding="utf-8").splitlines():
                assert line.startswith("event: ") or line.endswith("; trying again"), line
    assert found["python"] == found["receive"] and found["javascript"] == found["receive"]
    assert {(one["instrument"], one["name"]) for one in found["python"].values()} == set(plant.tags)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", REFUSALS)
def test_what_will_not_mend_ends_a_consumer_with_the_reason(case, language, own, modules, tmp_path):
    who, queue, *reasons = REFUSALS[case]
    other = make_certificates(tmp_path / "other")
    certificate = {"consumer": own.pki / "consumer", "foreign": other / "consumer"}.get(who)
    ca = (other if case == "unknown authority" else own.pki) / "ca.pem"
    words = words_of(language, own.port, queue, ca, certificate or issue(own.pki, who, "client", who))
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, env=modules, text=True, timeout=30)
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 1 and reasons[LANGUAGES.index(language)] in line, done
    assert "trying again" not in line


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_broker_that_is_not_there_yet_is_waited_for(language, own, modules, tmp_path):
    words = words_of(language, free_port(), language, own.pki / "ca.pem", own.pki / "consumer")
    with printing(tmp_path, words, modules):
        errors = tmp_path / "errors"
        wait_until(lambda: errors.read_text(encoding="utf-8").lower().count("refused") >= 2, 20, "it tries twice")


def number(value, tag):
    """As the tag's kind has it: JSON knows no kinds of numbers, and a float32 has the shortest digits that give it back."""
    if isinstance(value, bool) or value is None:
        return value
    if tag.type == "float32":
        return struct.unpack("f", struct.pack("f", value))[0]
    return float(value) if tag.type in ("float64", "uint64") or "." in tag.scale + tag.offset else value


def readings_of(messages, tags):
    """Of the JSON messages, in the form that compare() takes. tags: of the plant."""
    batches, by_tag = forebay_senml.Batches(), {}
    for _, message in messages:
        assert (message.content_type, message.content_encoding) == ("application/senml+json", "zstd")
        text = zstandard.ZstdDecompressor().decompress(bytes(message.body))
        pack = json.loads(text)
        assert message.id == f"{pack[0]['store']}/senml/{pack[0]['batch']}/{pack[0]['pack']}"
        batches.add(pack)
    for batch in batches.whole():
        for record in batch.records():
            gateway, *tag = record["n"].split("/")
            assert gateway == "consumers-json" and len(tag) == 2, record
            value = next(record[label] for label in ("v", "vs", "vb") if label in record)
            quality = record.get("quality_", "good")
            value = None if quality == "bad" else number(value, tags[tuple(tag)])
            by_tag.setdefault(tuple(tag), []).append(
                Reading(tuple(tag), round(record["t"] * 1000), value, quality, record.get("reason", ""),
                        record.get("detail", 0), batch.number)
            )  # fmt: skip
    for readings in by_tag.values():
        readings.sort(key=lambda one: one.time_ms)
    return by_tag


def test_json_has_every_reading_with_its_value_at_an_address_of_its_kind(site):
    folder = site.folder("consumers-json")
    plant = MixedPlant(folder)
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(site.broker.port, "json-senml", site.pki))
        events = stack.enter_context(Consumer(site.broker.port, "json-event", site.pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(site.broker.port, "", site.pki, address="/queues/json-{kind}", encoding="senml+json",
                           compression="zstd")  # fmt: skip
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        since_s = time.time() + 2
        until_s = since_s + DURATION_S

        def newest_s():
            return min((one[-1].time_ms / 1000 for one in readings_of(consumer.inbox.messages, plant.tags).values()), default=0)

        wait_until(lambda: newest_s() > until_s, 60, "the last readings arrive", every_s=0.5)
        slots = DURATION_S - sum(gateway.skipped().values())
        gateway.stop()
        record = sim.record()
        by_tag = readings_of(consumer.inbox.messages, plant.tags)
    assert {message.subject for _, message in consumer.inbox.messages} == {"senml"}
    assert {message.subject for _, message in events.inbox.messages} <= {"event"}
    assert set(by_tag) == set(plant.tags)
    compare(record, by_tag, plant.tags, since_s, until_s).assert_equal(at_least=(slots - 2) * len(plant.tags))
