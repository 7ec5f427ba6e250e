"""`forebay export`, `forebay verify` and GET /api/history over a gateway that polls at full rate meanwhile."""

import contextlib
import csv
import io
import json
import os
import pathlib
import pty
import re
import shutil
import socket
import statistics
import subprocess
import time

import pytest
from common import free_port, program, wait_until
from gateway import SANITIZED, Gateway, cloud_part
from plants import SequencePlant, instrument_part, tcp_part
from simulator import Simulator
from test_receive import Receiver

TAGS = 500
EXPORTS = 60
READ_BYTES, READ_PAUSE_S = 65536, 0.04  # slower than any export is written
MANY_BATCHES = {"commit_interval": "1s", "forward_interval": "1s", "forward_interval_offline": "1s"}
COMMIT_INTERVAL_S = 1.0
COMMIT_LATE_S = 0.5 if not SANITIZED else 2.0


class FastPlant(SequencePlant):
    """TAGS registers every 100 ms."""

    def configuration(self, where):
        instrument = instrument_part("counters", "hall-1", 1, self.instrument_tags, interval="100ms")
        return {"buses": [tcp_part("hall-1", where["hall-1"])], "instruments": [instrument]}


def lines_of(gateway, *words):
    text = gateway.command("export", "-c", str(gateway.file), *words)
    return [json.loads(line) for line in text.splitlines()]


def ask_web(gateway, path, query):
    """What nginx would pass on: status and JSON of core's answer."""
    pairs = {"CONTENT_LENGTH": "0", "SCGI": "1", "REQUEST_METHOD": "GET", "DOCUMENT_URI": path, "QUERY_STRING": query}
    head = b"".join(f"{name}\0{value}\0".encode() for name, value in pairs.items())
    with socket.socket(socket.AF_UNIX) as web:
        web.settimeout(15)
        web.connect(str(gateway.run / "web.sock"))
        web.sendall(b"%d:%s," % (len(head), head))
        answer = b"".join(iter(lambda: web.recv(65536), b""))
    status, _, body = answer.partition(b"\r\n\r\n")
    return status.split()[1].decode(), json.loads(body)


def commits_while(gateway, processes):
    """The moments of the commits seen until the processes have ended, UTC in seconds."""
    moments = []
    while any(process.poll() is None for process in processes):
        moment = gateway.status()["store"]["last_commit_ms"] / 1000
        if not moments or moment != moments[-1]:
            moments.append(moment)
        time.sleep(0.02)
    return moments


def export_again_and_again(gateway, folder):
    """EXPORTS exports one after the other in one process group, beside the work of the gateway."""
    script = 'for i in $(seq "$1"); do "$2" export -c "$3" --format csv -o "$4" || exit 1; done'
    words = ["sh", "-c", script, "sh", str(EXPORTS), program("forebay"), gateway.file, folder / "all.csv"]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def export_to_a_slow_reader(gateway, to_s):
    """An export until a whole second that is read slowly: its lines, and what its terminal shows, as (readings, percent)."""
    words = [program("forebay"), "export", "-c", gateway.file, "--to", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(to_s))]
    terminal, terminal_end = pty.openpty()
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal_end) as exporting:
        os.close(terminal_end)
        lines, shown = b"", b""
        while part := exporting.stdout.read1(READ_BYTES):
            lines += part
            time.sleep(READ_PAUSE_S)
        with contextlib.suppress(OSError):  # its end, for the kernel
            while part := os.read(terminal, READ_BYTES):
                shown += part
    os.close(terminal)
    assert exporting.returncode == 0, shown
    rounds = re.findall(rb"\r(\d+) readings, (\d+) %", shown)
    assert shown.replace(b"\r\n", b"\n") == b"".join(b"\r%s readings, %s %%" % one for one in rounds) + b"\n", shown
    return [json.loads(line) for line in lines.splitlines()], [(int(count), int(percent)) for count, percent in rounds]


def run_export(site):
    folder = site.folder("store-history-export")
    plant = FastPlant(TAGS)
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "store": MANY_BATCHES}))
        gateway.start()
        gateway.wait_for_status(lambda now: now["store"]["readings"] > 50 * TAGS, 60, "there is something to export")
        outcome = {}
        exporting = export_again_and_again(gateway, folder)
        outcome["commits"] = commits_while(gateway, [exporting])
        outcome["export code"] = exporting.returncode
        outcome["ndjson"] = lines_of(gateway)
        text = gateway.command("export", "-c", str(gateway.file), "--format", "csv")
        outcome["csv"] = list(csv.DictReader(io.StringIO(text)))
        first, last = (moment(line["time_ms"] for line in outcome["ndjson"]) for moment in (min, max))
        outcome["slowly"] = export_to_a_slow_reader(gateway, last // 1000)
        outcome["slowly to"] = last // 1000 * 1000
        query = f"tag=4&from={first}&to={last + 1}&buckets=20"
        outcome["history"] = ask_web(gateway, "/api/history", query)
        outcome["no history"] = ask_web(gateway, "/api/history", "tag=4")
        outcome["two tags"] = lines_of(gateway, "--tags", "counters/r3,counters/r7")
        outcome["last second"] = lines_of(gateway, "--from", "1s")
        wrong = ["--from", "yesterday"], ["--format", "xml"], ["--tags", "a/b/c!"], ["--from", "now", "--to", "1h"]
        outcome["wrong"] = [gateway.command("export", "-c", str(gateway.file), *words, code=2) for words in wrong]
        outcome["good"] = gateway.command("verify", "-c", str(gateway.file))
        head = outcome["good"].split()[-1]
        time.sleep(1.5)
        outcome["head fits"] = gateway.command("verify", "-c", str(gateway.file), "--head", head)
        wrong = head[:-1] + ("0" if head[-1] != "0" else "1")
        outcome["head differs"] = verify(1, "-c", gateway.file, "--head", wrong)
        outcome["files"] = sorted(path.name for path in folder.glob("all.csv*"))
        gateway.stop()
        return outcome


def verify(code, *words):
    done = subprocess.run(
        [program("forebay"), "verify", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def run_keep(site):
    folder = site.folder("store-history-keep")
    plant = SequencePlant(100)
    port = free_port()
    with contextlib.ExitStack() as stack:
        source = ("--listen", f"127.0.0.1:{port}", "--keep-batches", folder / "kept")
        receiver = stack.enter_context(Receiver(folder / "receiver", site.pki, *source, certificate="receiver"))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        configuration = {**plant.configuration(sim.where), "cloud": cloud_part(port, "any", site.pki)}
        gateway = stack.enter_context(Gateway(folder, configuration))
        gateway.start().wait_for_link()
        kept = folder / "kept"
        wait_until(lambda: len(list(kept.glob("*/*.batch"))) >= 6, 40, "six batches were kept", 0.2)
        receiver.kill_and_resume()
        wait_until(lambda: len(list(kept.glob("*/*.batch"))) >= 8, 40, "eight batches were kept", 0.2)
        gateway.stop()
        receiver.stop()
        return next(kept.iterdir()), receiver.readings()


@pytest.mark.scenario(run_export, turn=4)
def test_commits_go_on_in_time_while_all_is_exported_again_and_again(outcome):
    assert outcome["export code"] == 0
    commits = outcome["commits"]
    assert len(commits) >= 3, commits
    # Not the longest: exports that hold commits up hold them all up, a busy disk some.
    usual = statistics.median_low(after - before for before, after in zip(commits, commits[1:]))
    assert usual < COMMIT_INTERVAL_S + COMMIT_LATE_S, f"{usual:.2f} s between two commits"


@pytest.mark.scenario(run_export, turn=4)
def test_an_export_holds_every_reading_once(outcome):
    lines = outcome["ndjson"]
    assert len({(line["tag"], line["time_ms"]) for line in lines}) == len(lines)
    by_name = {}
    for line in lines:
        assert line["instrument"] == "counters" and line["batch"] > 0
        by_name.setdefault(line["name"], []).append(line)
    assert len(by_name) == TAGS
    for one in by_name.values():
        values = [line["value"] for line in sorted(one, key=lambda line: line["time_ms"]) if line["value"] is not None]
        # The simulator counts the reads of each register: none is missing.
        assert values == list(range(values[0], values[0] + len(values)))
    assert list(outcome["csv"][0]) == list(lines[0])
    # It was written later, and has the same in the same order: the end of the first may have cut a batch.
    keys = {(str(one["tag"]), str(one["time_ms"])) for one in lines}
    written = [(one["tag"], one["time_ms"], one["value"]) for one in outcome["csv"] if (one["tag"], one["time_ms"]) in keys]
    values = ["" if one["value"] is None else str(one["value"]) for one in lines]
    assert written == [(str(one["tag"]), str(one["time_ms"]), value) for one, value in zip(lines, values)]
    assert outcome["files"] == ["all.csv"]


@pytest.mark.scenario(run_export, turn=4)
def test_an_export_of_some_tags_or_some_time_holds_just_that(outcome):
    assert {line["name"] for line in outcome["two tags"]} == {"r3", "r7"}
    last = outcome["last second"]
    assert last
    assert max(line["time_ms"] for line in last) - min(line["time_ms"] for line in last) <= 3000


@pytest.mark.scenario(run_export, turn=4)
def test_the_progress_of_an_export_rises_with_the_time_that_is_written_to_a_hundred_percent(outcome):
    (lines, shown), to_ms = outcome["slowly"], outcome["slowly to"]
    times = [line["time_ms"] for line in lines]
    begin_ms = min(times)
    assert len(shown) >= 5 and shown == sorted(shown) and shown[0][1] < 50, shown
    for readings, percent in shown:
        there = 100 * (max(times[:readings]) - begin_ms) / (to_ms - begin_ms)
        assert abs(percent - there) <= 1 or readings == len(lines), (readings, percent, there)
    assert shown[-1] == (len(lines), 100) and max(times) < to_ms


@pytest.mark.scenario(run_export, turn=4)
def test_the_history_of_a_tag_counts_the_readings_that_an_export_holds(outcome):
    status, history = outcome["history"]
    assert status == "200"
    buckets = [dict(zip(history["columns"], bucket)) for bucket in history["buckets"]]
    lines = [line for line in outcome["ndjson"] if line["tag"] == 4]
    values = [line["value"] for line in lines if line["value"] is not None]
    assert sum(one["readings"] for one in buckets) == len(values) and len(buckets) == 20
    assert (buckets[0]["first"], buckets[-1]["last"]) == (min(values), max(values))  # counters only rise
    assert all(one["min"] <= one["mean"] <= one["max"] for one in buckets)
    status, error = outcome["no history"]
    assert status == "400" and '"from" is missing' in error["cause"]


@pytest.mark.scenario(run_export, turn=4)
def test_wrong_words_are_explained(outcome):
    yesterday, xml, tags, order = outcome["wrong"]
    assert "24h" in yesterday and "ndjson or csv" in xml and "INSTRUMENT/TAG" in tags and "before --to" in order


@pytest.mark.scenario(run_export, turn=4)
def test_the_store_of_the_running_gateway_verifies_and_keeps_its_head(outcome):
    assert "each is the one that the next was made behind" in outcome["good"]
    assert "each is the one" in outcome["head fits"]
    assert "was pinned: its hash is another" in outcome["head differs"]


def copy_of(kept, folder):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept[0], folder)
    return folder, sorted(folder.glob("*.batch"))


@pytest.mark.scenario(run_keep, turn=4)
def test_kept_batches_verify(outcome):
    text = verify(0, "--batches", outcome[0])
    head = text.split()[-1]
    verify(0, "--batches", outcome[0], "--head", head)


@pytest.mark.scenario(run_keep, turn=4)
@pytest.mark.parametrize("how", ["altered", "damaged", "removed", "reordered"])
def test_the_first_batch_that_is_not_as_it_was_is_named(outcome, how, tmp_path):
    folder, files = copy_of(outcome, tmp_path / "kept")
    fourth, fifth = files[3], files[4]
    if how == "damaged":
        data = bytearray(fourth.read_bytes())
        data[len(data) // 2] ^= 1
        fourth.write_bytes(data)
    elif how == "altered":
        forge(fourth)
    elif how == "removed":
        fourth.unlink()
    else:
        fourth.rename(folder / "other")
        fifth.rename(fourth)
        (folder / "other").rename(fifth)
    text = verify(1, "--batches", folder)
    word = {"damaged": "altered"}.get(how, how)
    assert text.startswith("batch 4 ") and word in text, text


def forge(file):
    """Seal the batch again with another time of sealing: valid in itself."""
    import zstandard  # pylint: disable=import-outside-toplevel

    plain = bytearray(zstandard.ZstdDecompressor().decompress(file.read_bytes()))
    at = plain.index(b"\x07\x1b\x00\x00\x01") + 9  # key 7 "sealed", 64 bits
    plain[at] ^= 1
    file.write_bytes(zstandard.ZstdCompressor(level=1, write_checksum=True).compress(bytes(plain)))


@pytest.mark.scenario(run_keep, turn=4)
def test_a_batch_cut_off_behind_shows_against_the_pinned_head(outcome, tmp_path):
    head = verify(0, "--batches", outcome[0]).split()[-1]
    folder, files = copy_of(outcome, tmp_path / "kept")
    files[-1].unlink()
    text = verify(1, "--batches", folder, "--head", head)
    assert text.startswith(f"batch {len(files)} ") and "removed" in text


def test_a_folder_without_batches_is_refused(tmp_path):
    done = subprocess.run(
        [program("forebay"), "verify", "--batches", tmp_path], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 1 and "no batches" in done.stderr
    assert pathlib.Path(tmp_path).exists()
