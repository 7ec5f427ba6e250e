"""`forebay demo` as a visitor runs it: with a time, and until Ctrl-C."""

import re
import signal
import subprocess

import processes
from common import program, wait_until

DURATION_S = 10


def test_it_ends_by_itself_with_nothing_lost_or_repeated():
    words = [program("forebay"), "demo", "--duration", str(DURATION_S), "--page-port", "0"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 + DURATION_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"https://(localhost|127\.0\.0\.1):\d+", done.stdout), done.stdout
    told = re.fullmatch(r"received (\d+) readings in (\d+) batches, 0 lost, 0 repeated", done.stdout.splitlines()[-1])
    assert told, done.stdout
    assert int(told[1]) > 10 * DURATION_S and int(told[2]) >= 2, told[0]


def test_ctrl_c_ends_everything_it_started(tmp_path):
    path = tmp_path / "demo.log"
    with open(path, "wb") as log:
        demo = subprocess.Popen(
            [program("forebay"), "demo", "--page-port", "0"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            wait_until(lambda: re.search(r"[1-9]\d* batches forwarded", path.read_text(encoding="utf-8")), 30, "readings go")
            started = processes.below(demo.pid)
            assert len(started) > 5
            demo.send_signal(signal.SIGINT)
            assert demo.wait(30) == 0, path.read_text(encoding="utf-8")
        finally:
            if demo.poll() is None:
                demo.kill()
                demo.wait(10)
    wait_until(lambda: not any(processes.runs(pid) for pid in started), 20, "all its programs are gone")
