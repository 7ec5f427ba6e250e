"""Many gateways' links: a forebay-cloud process each, and fleet_cores for their cores and fields. What happens is read from
what fleet_cores writes (core.h)."""

import collections
import contextlib
import json
import pathlib
import statistics
import subprocess

from common import program, wait_until

# As core tells it (gateway/common/link_settings.h), with the defaults of the configuration.
LINK = {
    "profile": "amqp", "token_key": "", "token_policy": "", "token_life_ms": 3600000, "encoding": "batch", "compression": "none",
    "key_pin_file": "", "pins": [], "crls": [], "window_messages": 256, "window_bytes": 4 << 20, "connect_timeout_ms": 10000,
    "open_timeout_ms": 15000, "idle_timeout_ms": 60000, "ack_timeout_ms": 60000, "return_after_ms": 1800000,
    "retry_first_ms": 1000, "retry_most_ms": 300000,
}  # fmt: skip
LOCALHOST = "localhost"


def gateways(count):
    return [f"gw-{i}" for i in range(count)]


def make_certificates(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([program("tests/fleet_certificates"), folder, str(count)], check=True)
    return folder


def permissions(queue_of):
    """A gateway may write to its queue through the default exchange, and nothing else. queue_of: {gateway: queue}."""
    return {gateway: {"configure": "", "write": "^amq\\.default$", "read": ""} for gateway in queue_of}


class Fleet:
    """routes: {gateway: (its queue, its endpoints' ports, the preferred one first)}. settings: what differs from LINK.
    Use it as a context; all processes end with it."""

    def __init__(self, folder, pki, routes, interval_ms, tags, **settings):
        self.folder, self.routes = pathlib.Path(folder), routes
        self.interval_ms, self.tags = interval_ms, tags
        self.links = []  # processes
        self.sealed = {}  # (gateway, number): SHA-256
        self.accepted = {}  # (gateway, number): ms from sealing to acceptance
        self.refused = []
        self.attempts = collections.defaultdict(list)  # gateway: records
        for i, (gateway, (queue, ports)) in enumerate(routes.items()):
            path = self.folder / str(i)
            path.mkdir(parents=True)
            path.joinpath("link.json").write_text(json.dumps(self._link(gateway, queue, ports, pki, settings)))
        self._stack = contextlib.ExitStack()
        self._log = None
        self._cores = None

    @staticmethod
    def _link(gateway, queue, ports, pki, settings):
        address = f"/queues/{queue}"
        places = [{"host": LOCALHOST, "port": port, "address": address} for port in ports]
        files = {"ca": f"{pki}/ca.pem", "certificate": f"{pki}/{gateway}.pem", "key": f"{pki}/{gateway}.key"}
        return {"gateway": gateway, **places[0], "spares": places[1:], **files, **LINK, **settings}

    def __enter__(self):
        try:
            self._start_cores()
        except BaseException:
            self._end()
            raise
        return self

    def _start_cores(self):
        path = self.folder / "cores.log"
        errors = self._stack.enter_context(open(self.folder / "errors.log", "wb"))
        with open(path, "wb") as written:
            words = [program("tests/fleet_cores"), self.folder, str(len(self.routes)), str(self.interval_ms), str(self.tags)]
            self._cores = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=written, stderr=errors)
        self._log = self._stack.enter_context(open(path, encoding="utf-8"))
        wait_until(lambda: self._log.readline().endswith("\n"), 60, "fleet_cores is ready")

    def start_links(self, until=None):
        """Start them up to this number, or all."""
        with open(self.folder / "links.log", "ab") as log:
            for i in range(len(self.links), until or len(self.routes)):
                words = [program("forebay-cloud"), "--run", self.folder / str(i)]
                self.links.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    @property
    def cores_pid(self):
        return self._cores.pid

    def read(self):
        """What has happened since. Cheap when nothing has."""
        assert self._cores.poll() in (None, 0), f"fleet_cores has ended; see {self.folder}/errors.log"
        while True:
            place = self._log.tell()
            line = self._log.readline()
            if not line.endswith("\n"):
                self._log.seek(place)
                return self
            self._note(json.loads(line))

    def _note(self, one):
        what, gateway = one["what"], one["gateway"]
        if what == "sealed":
            self.sealed[gateway, one["number"]] = one["sha256"]
        elif what == "accepted":
            self.accepted[gateway, one["number"]] = one["after_ms"]
        elif what == "refused":
            self.refused.append(one)
        else:
            self.attempts[gateway].append(one["record"])

    def up_at(self):
        """{gateway: port} of those whose link is up."""
        found = {}
        for gateway, records in self.attempts.items():
            last = next((one for one in reversed(records) if one["what"] != "return"), None)
            if last and last["outcome"] == "up":
                found[gateway] = int(last["endpoint"].rpartition(":")[2])
        return found

    def wait_until_up(self, limit_s, ports=None, names=None):
        """Until the links of these gateways, or of all whose link was started, are up, at one of these ports, or at any."""
        names = names or gateways(len(self.links))

        def up():
            at = self.read().up_at()
            return all(name in at and (ports is None or at[name] in ports) for name in names)

        wait_until(up, limit_s, f"{len(names)} links are up")

    def wait_until_each_accepted(self, more, limit_s):
        """Until every gateway has had so many more batches accepted than now."""
        self.read()
        wanted = {gateway: count + more for gateway, count in self._accepted_of_each().items()}
        wait_until(
            lambda: self.read() and all(count >= wanted[one] for one, count in self._accepted_of_each().items()),
            limit_s, f"{more} more batches of each gateway are accepted",
        )  # fmt: skip

    def _accepted_of_each(self):
        counts = dict.fromkeys(self.routes, 0)
        for gateway, _ in self.accepted:
            counts[gateway] += 1
        return counts

    def under_way(self):
        """The gateways with a batch that is sealed and not accepted."""
        return {gateway for gateway, _ in self.sealed.keys() - self.accepted.keys()}

    def drain(self, limit_s):
        """No more batches; wait until all are accepted."""
        self._cores.stdin.close()
        wait_until(lambda: self._cores.poll() is not None, limit_s, "everything is accepted")
        self.read()
        assert self._cores.returncode == 0

    def latency_ms(self, numbers=None):
        """Median and the 99th of a hundred of the times from sealing to acceptance, of those (gateway, number), or all."""
        some = [ms for key, ms in self.accepted.items() if numbers is None or key in numbers]
        return statistics.median(some), statistics.quantiles(some, n=100)[98]

    def _end(self):
        for process in [*self.links, self._cores]:
            if process is not None and process.poll() is None:
                process.kill()
        for process in [*self.links, self._cores]:
            if process is not None:
                process.wait(10)
        self._stack.close()

    def __exit__(self, *_):
        self._end()
