"""Collecting never depends on a certificate: whatever is wrong with the files of trust, or with the clock they are judged
by, readings are taken, the reason is exact, and when it is put right the link is back without a restart and nothing was
lost. The broker is a real one that refuses revoked and expired clients."""

import contextlib
import os
import shutil
import subprocess
import time

import pytest
from authority import issue_for_dates, pin, revoke
from broker import CONFIGURATION, Broker
from common import free_port, make_certificates, wait_until
from consumer import Consumer
from gateway import Gateway, cloud_part
from plants import SequencePlant
from proxy import Proxy
from simulator import Simulator
from wrong_clock import ClocklessGateway, WrongClock

TAGS = 10
YEAR_MS = 366 * 24 * 3_600_000
TOKEN_MODULE = "/usr/lib/softhsm/libsofthsm2.so"
BACK_LIMIT_S = 20  # files are looked at every 5 s

# Erlang reads lists of revoked certificates only where its advanced configuration says so.
ADVANCED = """\
[{rabbit, [{ssl_options, [
  {cacertfile, "/media/ca.pem"}, {certfile, "/media/server.pem"}, {keyfile, "/media/server.key"},
  {verify, verify_peer}, {fail_if_no_peer_cert, true},
  {crl_check, peer}, {crl_cache, {ssl_crl_hash_dir, {internal, [{dir, "/media/crls"}]}}}]}]}].
"""


class StrictBroker(Broker):
    """Refuses clients that its authority has revoked."""

    def __init__(self, folder, pki, queues, revoked):
        super().__init__(folder, pki, queues, users=("gateway", "consumer", "lost"))
        text = CONFIGURATION.format(port=self.port)
        self._write("rabbitmq.conf", "".join(line + "\n" for line in text.splitlines() if "ssl_options" not in line))
        self._write("advanced.config", ADVANCED)
        self.environment["RABBITMQ_ADVANCED_CONFIG_FILE"] = "/mnt/advanced.config"
        crls = self.pki / "crls"
        crls.mkdir()
        made = revoke(self.pki, "crl-broker", revoked)
        name = subprocess.run(
            ["openssl", "crl", "-in", made, "-noout", "-hash"], check=True, stdout=subprocess.PIPE, text=True
        )
        shutil.copy(made, crls / f"{name.stdout.strip()}.r0")


class TrustGateway(ClocklessGateway):
    """Its files of trust are copies in a folder of its own, for the test to spoil."""

    def __init__(self, folder, pki, broker, plant, where):
        self.trust = folder / "trust"
        self.trust.mkdir()
        self.pki = pki
        for name in ("ca.pem", "gateway.pem", "gateway.key"):
            self.put(name, pki / name)
        self.usual = cloud_part(broker.port, "trust", self.trust, retry_first="100ms", retry_most="1s")
        self.plant, self.where = plant, where
        super().__init__(folder, self.whole())
        self.clock = WrongClock(folder, certificates=True)
        self.clock.set(0, True)

    def whole(self, **changed):
        return {**self.plant.configuration(self.where), "cloud": {**self.usual, **changed}}

    def use(self, **changed):
        self.configure(self.whole(**changed))
        self.reload()

    def use_and_link(self, **changed):
        """The same; then the link is up anew."""
        before = self.status()["link"]["since_ms"]
        self.use(**changed)
        self.wait_for_status(
            lambda now: now["link"]["state"] == "up" and now["link"]["since_ms"] != before, BACK_LIMIT_S, "the link is up anew"
        )

    def put(self, name, source):
        """As one should replace a file: the new one takes the old one's place at once."""
        shutil.copy(source, self.trust / "new")
        (self.trust / "new").replace(self.trust / name)

    def write_file(self, name, text):
        (self.trust / "new").write_text(text, encoding="ascii")
        (self.trust / "new").replace(self.trust / name)

    def refusal(self, *words):
        """Wait until the link is down for this reason; readings go on meanwhile."""

        def refused(status):
            link = status["link"]
            return link["state"] == "waiting" and all(word in link["reason"] for word in words)

        status = self.wait_for_status(refused, BACK_LIMIT_S, f"the link is refused: {words}")
        before = status["store"]["readings"]
        self.wait_for_status(lambda now: now["store"]["readings"] >= before + 2 * TAGS, 10, "readings are taken")
        return status["link"]["step"], status["link"]["reason"]

    def cloud_pid(self):
        return wait_until(lambda: self.pids().get("forebay-cloud"), 10, "forebay-cloud runs")[0]

    def loaded(self):
        """What forebay-cloud has mapped; None: only root may look into it."""
        try:
            with open(f"/proc/{self.cloud_pid()}/maps", encoding="ascii", errors="replace") as maps:
                return maps.read()
        except PermissionError:
            return None


def old_certificates(folder):
    """As tests/pki.sh makes them, but valid since 2020, for a clock that is behind."""
    pki = make_certificates(folder)
    subprocess.run(
        ["openssl", "req", "-x509", "-new", "-key", pki / "ca.key", "-subj", "/CN=Forebay throw-away authority",
         "-days", "400", "-set_serial", "1", "-addext", "basicConstraints=critical,CA:TRUE",
         "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", pki / "ca.pem"],
        check=True, env={**os.environ, **early(folder)},
    )  # fmt: skip
    for name, usage in (("server", "server"), ("gateway", "client"), ("consumer", "client"), ("lost", "client")):
        subject = "localhost" if usage == "server" else name
        issue_for_dates(pki, name, "20200101000000Z", "20980101000000Z", usage, subject)
    return pki


def early(folder):
    """The environment in which openssl believes that it is 200 days earlier."""
    clock = WrongClock(folder, certificates=True)
    clock.set(-200 * 24 * 3_600_000, True)
    return clock.environment()


def spoiled_files(gateway, pki):
    """{case: (file, how to spoil it, what the reason must say)}"""
    old = issue_for_dates(pki, "old", "20200101000000Z", "20210101000000Z", "client", "gateway")
    return {
        "certificate missing": ("gateway.pem", lambda path: path.unlink(), ("gateway.pem: No such file",)),
        "certificate expired": (
            "gateway.pem", lambda _: gateway.put("gateway.pem", old.with_suffix(".pem")),
            ("gateway.pem: certificate of gateway expired on 2021-01-01", "the clock here says"),
        ),
        "key is garbage": (
            "gateway.key", lambda _: gateway.write_file("gateway.key", "garbage\n"),
            ("gateway.key: holds no private key in PEM form",),
        ),
        "authority empty": (
            "ca.pem", lambda _: gateway.write_file("ca.pem", ""), ("ca.pem: holds no certificate in PEM form",)
        ),
    }  # fmt: skip


def run_spoiled(gateway, pki, found):
    for case, (name, spoil, words) in spoiled_files(gateway, pki).items():
        spoil(gateway.trust / name)
        gateway.kill("forebay-cloud")
        found[case] = gateway.refusal(*words)
        pid = gateway.cloud_pid()
        gateway.put(name, pki / name)
        gateway.wait_for_link(BACK_LIMIT_S)
        assert gateway.cloud_pid() == pid, "the link is back without a restart"


def run_renewed(gateway, pki, found):
    """Better files while the link is up: used within seconds, without a restart."""

    def ours(status):
        return [one["sha256"] for one in status["certificates"] if one["use"] == "gateway"]

    before = gateway.wait_for_status(ours, 10, "our certificate is shown")
    renewed = issue_for_dates(pki, "renewed", "20200101000000Z", "20970101000000Z", "client", "gateway")
    pid = gateway.cloud_pid()
    gateway.put("gateway.key", renewed.with_suffix(".key"))
    gateway.put("gateway.pem", renewed.with_suffix(".pem"))

    def is_used(status):
        link = status["link"]
        is_new = link["state"] == "up" and link["since_ms"] > before["link"]["since_ms"]
        return is_new and ours(status) not in ([], ours(before))

    used = gateway.wait_for_status(is_used, BACK_LIMIT_S, "the renewed certificate is in use")
    assert gateway.cloud_pid() == pid
    gateway.put("gateway.key", pki / "gateway.key")
    gateway.put("gateway.pem", pki / "gateway.pem")

    def is_back(status):
        link = status["link"]
        is_new = link["state"] == "up" and link["since_ms"] > used["link"]["since_ms"]
        return is_new and ours(status) == ours(before)

    gateway.wait_for_status(is_back, BACK_LIMIT_S, "and back again")


def run_revocation(gateway, pki, found):
    """A broker that works is revoked, and later not any more: the list in the file decides, from the file on."""
    gateway.put("crl.pem", revoke(pki, "crl-none"))
    gateway.use_and_link(crl=[gateway.trust / "crl.pem"])
    gateway.put("crl.pem", revoke(pki, "crl-server", "server"))
    found["revoked while the link is up"] = gateway.refusal("certificate of localhost was revoked on")
    gateway.put("crl.pem", revoke(pki, "crl-none-again"))
    gateway.wait_for_link(BACK_LIMIT_S)
    gateway.put("crl.pem", revoke(pki, "crl-old", start="20200101000000Z", end="20210101000000Z"))
    found["list expired while the link is up"] = gateway.refusal("list of revoked certificates", "expired on 2021")
    gateway.put("crl.pem", revoke(pki, "crl-new"))
    gateway.wait_for_link(BACK_LIMIT_S)


def run_clock(gateway, pki, found):
    """As after years in a cupboard: the gateway's clock is wrong by much, the broker's is right."""
    gateway.use_and_link()
    gateway.clock.set(2 * YEAR_MS, True)
    gateway.kill("forebay-cloud")
    found["clock ahead"] = gateway.refusal("throw-away authority expired on", "the clock here says")
    gateway.clock.set(-300 * 24 * 3_600_000, True)
    found["clock behind"] = gateway.refusal("throw-away authority is not valid before", "the clock here says")
    gateway.clock.set(0, True)
    gateway.wait_for_link(BACK_LIMIT_S)


def run_refused_by_broker(gateway, pki, found):
    aged = issue_for_dates(pki, "aged", "20200101000000Z", short_date(-1), "client", "gateway")
    gateway.use(certificate=pki / "lost.pem", key=pki / "lost.key")
    found["our certificate is revoked"] = gateway.refusal("alert 44", "our certificate is revoked")
    gateway.clock.set(-48 * 3_600_000, True)
    gateway.use(certificate=aged.with_suffix(".pem"), key=aged.with_suffix(".key"))
    found["our certificate has expired by the broker's clock"] = gateway.refusal("alert 45", "expired by its clock")
    gateway.clock.set(0, True)
    gateway.use()
    gateway.wait_for_link(BACK_LIMIT_S)


def short_date(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 24 * 3600))


def run_pins(gateway, pki, found):
    gateway.use_and_link(pin=[pin(pki / "gateway.pem"), pin(pki / "ca.pem")])
    gateway.use_and_link(pin=[pin(pki / "server.pem")])
    gateway.use(pin=[pin(pki / "gateway.pem")])
    found["pin"] = gateway.refusal("is good, but no key of its chain is among the pins", pin(pki / "server.pem"))


def run_token(gateway, pki, found):
    """The key is in a token that never gives it away. Nothing of PKCS#11 is there before it is asked for."""
    gateway.use_and_link()
    found["without a token"] = gateway.loaded()
    key = f"pkcs11:token=plant;object=gateway?module-path={TOKEN_MODULE}"
    gateway.write_file("pin.txt", "9999\n")
    gateway.use(key=key, key_pin_file=gateway.trust / "pin.txt")
    found["wrong PIN"] = gateway.refusal("the token refused the PIN in", "not tried again until that file changes")
    gateway.write_file("pin.txt", "4711\n")
    gateway.wait_for_link(BACK_LIMIT_S)
    found["with a token"] = gateway.loaded()
    with open(f"/proc/{gateway.cloud_pid()}/status", encoding="ascii") as status:
        found["seccomp"] = [line.split()[1] for line in status if line.startswith("Seccomp:")]
    found["command lines"] = "".join(
        open(f"/proc/{pid}/cmdline", encoding="ascii").read() for pids in gateway.pids().values() for pid in pids
    )


def make_token(folder, pki):
    """A SoftHSM token with the gateway's key; programs started from now on find it."""
    tokens, configuration = folder / "tokens", folder / "softhsm2.conf"
    tokens.mkdir()
    configuration.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n", encoding="ascii")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    for words in (
        ["--init-token", "--free", "--label", "plant", "--so-pin", "12345678", "--pin", "4711"],
        ["--import", pki / "gateway.key", "--token", "plant", "--label", "gateway", "--id", "01", "--pin", "4711"],
    ):
        subprocess.run(["softhsm2-util", *words], check=True, stdout=subprocess.DEVNULL)


def run(site):
    folder = site.folder("trust")
    pki = old_certificates(folder / "pki")
    make_token(folder, pki)
    plant = SequencePlant(TAGS)
    found = {}
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(StrictBroker(folder / "broker", pki, ["trust"], "lost"))
        consumer = stack.enter_context(Consumer(broker.port, "trust", pki))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        gateway = stack.enter_context(TrustGateway(folder, pki, broker, plant, sim.where))
        gateway.start().wait_for_link()
        for part in (run_spoiled, run_renewed, run_revocation, run_refused_by_broker, run_pins, run_token, run_clock):
            part(gateway, pki, found)
        gateway.wait_for_link(BACK_LIMIT_S)
        last = found["last"] = max(served(sim.record()))
        wait_until(lambda: counted(consumer.view())[-1:] >= [last], 60, "the last readings arrive", every_s=0.2)
        found["events"] = gateway.call("events", after=0, limit=1000)["records"]
        found["certificates"] = gateway.status()["certificates"]
        found["status"] = gateway.command("status", "-c", str(gateway.file))
        gateway.stop()
        record = sim.record()
    log = (folder / "forebay.log").read_text(encoding="utf-8", errors="replace")
    return found, consumer.view(), record, log


def run_without_page(site):
    """The page's certificate is not there: no page, but all the rest."""
    folder = site.folder("trust_page")
    plant = SequencePlant(TAGS)
    with Simulator(folder / "sim", plant.description) as sim:
        page = {"port": free_port(), "certificate": folder / "nowhere.pem", "key": folder / "nowhere.key"}
        with Gateway(folder, {**plant.configuration(sim.where), "page": page}) as gateway:
            gateway.start()
            status = gateway.wait_for_status(
                lambda now: now["store"]["readings"] >= 5 * TAGS and now["certificates"], 20, "readings are taken"
            )
            gateway.stop()
    return status["certificates"]


@pytest.mark.scenario(run_without_page, turn=2)
def test_readings_are_taken_without_the_pages_certificate(outcome):
    (page,) = outcome
    assert page["use"] == "page" and page["error"].endswith("nowhere.pem: No such file or directory")


def run_meanwhile(site):
    """The broker is revoked while an attempt to reach it is under way that has read the list before."""
    folder = site.folder("trust_meanwhile")
    pki = folder / "pki"
    shutil.copytree(site.pki, pki)
    plant = SequencePlant(TAGS)
    crl = folder / "crl.pem"
    shutil.copy(revoke(pki, "crl-none"), crl)

    def lists(status):
        return [one["sha256"] for one in status["certificates"] if one["use"] == "crl"]

    def is_refused(status):
        link = status["link"]
        return link["state"] == "waiting" and "certificate of localhost was revoked on" in link["reason"]

    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(site.broker.port))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        cloud = cloud_part(proxy.port, "trusted", pki, crl=[crl], connect_timeout="60s")
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud}))
        proxy.stall()
        gateway.start()
        before = gateway.wait_for_status(lambda now: now["link"]["step"] == "tls" and lists(now), 20, "in the handshake")
        revoke(pki, "crl-server", "server").replace(crl)
        gateway.wait_for_status(lambda now: lists(now) not in ([], lists(before)), 20, "the new list is seen")
        proxy.mend()
        refused = gateway.wait_for_status(is_refused, 40, "the broker is refused")
        records = gateway.call("attempts", after=0, limit=1000)["records"]
        revoke(pki, "crl-none-again").replace(crl)
        gateway.wait_for_link(BACK_LIMIT_S)
        gateway.stop()
    return refused["link"], records


meanwhile = pytest.mark.scenario(run_meanwhile, turn=2)


@meanwhile
def test_who_is_revoked_during_an_attempt_gets_nothing(outcome):
    link, records = outcome
    assert (link["step"], link["accepted"]) == ("tls", 0), link
    assert records[0]["reason"] == "closed here, to use renewed certificate files", records
    assert not [one for one in records if one["what"] == "connection"], records


def served(record):
    """The counts that the simulator gave out in its first register."""
    return [int.from_bytes(entry["data"][:2], "big") for entry in record if entry["data"] and entry["address"] == 0]


def counted(view):
    """Those of them that arrived, in the order of their batches."""
    return [one.value for one in view.readings() if one.tag[1] == "r0" and one.quality != "bad"]


def in_scenario(test):
    marks = pytest.mark.scenario(run, turn=2), pytest.mark.skipif(
        os.environ.get("V") == "asan", reason="the sanitizer must be loaded first itself"
    )
    return marks[0](marks[1](test))

IN_TLS = (
    "certificate missing", "certificate expired", "key is garbage", "authority empty", "revoked while the link is up",
    "list expired while the link is up", "our certificate is revoked",
    "our certificate has expired by the broker's clock", "pin", "wrong PIN", "clock ahead", "clock behind",
)  # fmt: skip


@in_scenario
@pytest.mark.parametrize("case", IN_TLS)
def test_readings_go_on_and_the_reason_is_exact(outcome, case):
    found = outcome[0]
    step, reason = found[case]
    assert step == "tls", reason


@in_scenario
def test_nothing_is_lost(outcome):
    found, view, record, _ = outcome
    (store,) = view.stores()
    counts = counted(view)
    assert len(set(counts)) == len(counts) and set(counts) == set(range(counts[0], counts[-1] + 1))
    last = found["last"]
    assert sum(count <= last for count in counts) >= sum(count <= last for count in served(record)) - 3
    assert not view.missing_numbers(store) and not view.losses()
    view.check_chain()


@in_scenario
def test_nothing_of_tokens_is_loaded_before_one_is_configured(outcome):
    found = outcome[0]
    if found["without a token"] is None:
        pytest.skip("to look into forebay-cloud needs root")
    assert "softhsm" not in found["without a token"] and "pkcs11" not in found["without a token"]
    assert "softhsm" in found["with a token"] and "pkcs11" in found["with a token"]


@in_scenario
def test_with_a_token_no_program_can_be_started_still(outcome):
    assert outcome[0]["seccomp"] == ["2"]  # filter


@in_scenario
def test_the_pin_is_nowhere_to_be_read(outcome):
    found, _, _, log = outcome
    assert "4711" not in found["command lines"] and "4711" not in found["status"]
    assert "PIN" in log and "4711" not in log.replace("gateway=4711", "")


@in_scenario
def test_the_days_left_to_every_certificate_are_shown(outcome):
    found = outcome[0]
    days = {}
    for one in found["certificates"]:
        days.setdefault(one["use"], []).append(one["days_left"])
    assert 199 <= min(days["authority"]) <= 200 and min(days["gateway"]) > 20000 and min(days["broker"]) <= 200
    assert "certificate authority" in found["status"] and "days left" in found["status"]


@in_scenario
def test_what_expires_is_an_event_once_for_each_level(outcome):
    events = [one for one in outcome[0]["events"] if one["event"] == "certificate-expires"]
    details = [one["details"] for one in events]
    old = [one for one in details if one["use"] == "gateway" and one["days_left"] < -1000]
    assert len(old) == 1 and old[0]["subject"] == "gateway" and old[0]["level_days"] == 0
    assert {one["severity"] for one in events if one["details"]["level_days"] == 0} == {"alarm"}
    # By the clock that was two days behind it had one day left, by the right one none.
    aged = [one["level_days"] for one in details if one["use"] == "gateway" and -10 < one["days_left"]]
    assert aged in ([1], [1, 0])
