"""Starts tests/sim/sim.py, commands it, and reads its record."""

import json
import pathlib
import subprocess
import sys

from common import PYTHON, TESTS

sys.path.insert(0, str(TESTS / "sim"))

import lines  # noqa: E402,F401  of tests/sim, for the tests
import values  # noqa: E402


def block(table, address, kind, form, count=1, **more):
    return {"table": table, "address": address, "type": kind, "form": form, "count": count, **more}


class Simulator:
    """description: as sim.py takes it, without record. Ends with this process in any case: its input is our pipe.
    recording: whether every request is written down; long runs of many would fill the disk."""

    def __init__(self, folder, description, recording=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.record_file = self.folder / "record.ndjson"
        self.description = {**description, "record": str(self.record_file)} if recording else description
        self.where = {}
        self.process = None

    def __enter__(self):
        file = self.folder / "description.json"
        file.write_text(json.dumps(self.description), encoding="utf-8")
        with open(self.folder / "sim.log", "ab") as log:
            self.process = subprocess.Popen(
                [PYTHON, "-B", TESTS / "sim" / "sim.py", file],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True, text=True,
            )
        self.where = self._answer()["buses"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process.stdout.close()

    def _answer(self):
        line = self.process.stdout.readline()
        assert line, f"the simulator ended; see {self.folder}/sim.log"
        return json.loads(line)

    def say(self, command):
        """Carry out a command line of sim.py; its result."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        assert answer["ok"], f"{command}: {answer}"
        return answer["result"]

    def requests(self):
        """{bus: requests so far}"""
        return {name: one["requests"] for name, one in self.say("figures").items()}

    def record(self):
        """Every request so far, in order; data as bytes or None. A line that is being written does not count yet."""
        self.say("flush")
        lines = []
        with open(self.record_file, encoding="ascii") as file:
            for line in file:
                if not line.endswith("\n"):
                    break
                entry = json.loads(line)
                entry["data"] = None if entry["data"] is None else bytes.fromhex(entry["data"])
                entry["table"] = values.TABLE_FUNCTIONS.get(entry["function"])
                lines.append(entry)
        return lines
