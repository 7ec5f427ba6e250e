"""The consumers of docs/examples against the real broker: the Python one, the JavaScript one and `forebay receive` get the
same messages and must print the same readings. And the same plant as JSON (SenML), value by value."""

import contextlib
import json
import os
import struct
import subprocess
import time

from common import PYTHON, TESTS, TOP, program, wait_until
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


def words_of(site, folder):
    """{name: the command}, and the environment of the JavaScript one."""
    url, pki = f"amqps://localhost:{site.broker.port}", site.pki
    files = {"ca": pki / "ca.pem", "certificate": pki / "consumer.pem", "key": pki / "consumer.key"}
    options = [word for name, path in files.items() for word in (f"--{name}", path)]
    return {
        "python": [PYTHON, "-B", EXAMPLES / "python/consume.py", url, "/queues/consumer-python", *options],
        "javascript": ["node", EXAMPLES / "javascript/consume.js", "localhost", str(site.broker.port),
                       "/queues/consumer-javascript", *files.values()],
        "receive": [program("forebay"), "receive", "--from", f"{url}/queues/consumer-receive", *options,
                    "--state", folder / "state"],
    }  # fmt: skip


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


def test_all_consumers_print_the_same_readings(site):
    folder, plant = site.folder("consumers"), SequencePlant(5)
    peers = TESTS / "peers.sh"
    modules = subprocess.run([peers, EXAMPLES / "javascript"], check=True, capture_output=True, text=True).stdout.strip()
    environment = {**os.environ, "NODE_PATH": f"{modules}/node_modules"}
    with contextlib.ExitStack() as stack:
        paths = {}
        for name, words in words_of(site, folder).items():
            (folder / name).mkdir()
            paths[name] = stack.enter_context(printing(folder / name, words, environment))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(site.broker.port, "", site.pki, address="/exchanges/consumers")
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        gateway.start().wait_for_link()
        for name, path in paths.items():
            wait_until(lambda one=path: len(lines_in(one)) >= 40, 40, f"{name} prints forty readings")
        gateway.stop()
        count = max(map(len, map(lines_in, paths.values())))
        for name, path in paths.items():
            wait_until(lambda one=path: len(lines_in(one)) == count, 20, f"{name} prints all {count} readings")
        found = {name: lines_in(path) for name, path in paths.items()}
    assert found["python"] == found["receive"] and found["javascript"] == found["receive"]
    assert {(one["instrument"], one["name"]) for one in found["python"].values()} == set(plant.tags)


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
