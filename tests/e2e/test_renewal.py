"""Certificates that are renewed, or expire, while everything runs: the page shows the new one without a restart, and a link
does not outlive the certificates that it was made with."""

import contextlib
import datetime
import shutil
import socket
import ssl

import pytest
from authority import issue, issue_for_dates
from broker import Broker
from common import free_port, wait_until
from gateway import Gateway, cloud_part
from plants import SequencePlant
from simulator import Simulator

LIFE_S = 15  # of a certificate: long enough to make a link first
SEALED = {"commit_interval": "1s", "forward_interval": "1s", "forward_interval_offline": "1s"}


def short_lived(pki, name, usage, subject):
    """pki/name, until LIFE_S from now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = (f"{time:%Y%m%d%H%M%SZ}" for time in (now - datetime.timedelta(days=1), now + datetime.timedelta(seconds=LIFE_S)))
    return issue_for_dates(pki, name, start, end, usage, subject)


def served(port):
    """The certificate that the page shows now."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=3) as plain:
        with anybody.wrap_socket(plain) as secured:
            return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True))
    return None


def leaf(path):
    return path.read_text(encoding="ascii").strip()


def run_page(site):
    folder = site.folder("renewal_page")
    plant = SequencePlant(4)
    pki, port = folder / "pki", free_port()
    shutil.copytree(site.pki, pki)
    page = {"port": port, "certificate": pki / "page.pem", "key": pki / "page.key"}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "page": page}))
        gateway.start()
        first = wait_until(lambda: served(port), 20, "the page is there")
        pids = gateway.pids()["nginx"]
        (pki / "page.pem").write_text("no certificate\n", encoding="ascii")
        log = folder / "forebay.log"
        wait_until(lambda: "page-files-changed" in log.read_text(encoding="utf-8"), 20, "the change is seen")
        wait_until(lambda: "[emerg]" in log.read_text(encoding="utf-8"), 20, "nginx refuses it")
        kept = wait_until(lambda: served(port), 20, "it is still there")
        issue(pki, "next", "server", "localhost", "DNS:localhost")
        for suffix in (".key", ".pem"):
            (pki / f"next{suffix}").rename(pki / f"page{suffix}")
        renewed = leaf(pki / "page.pem")
        wait_until(lambda: (served(port) or "").strip() == renewed, 20, "the page shows the renewed certificate")
        same = gateway.pids()["nginx"][0] == pids[0]
        gateway.stop()
    return first, kept, renewed, same


page = pytest.mark.scenario(run_page, turn=2)


@page
def test_the_page_shows_a_renewed_certificate_without_a_restart(outcome):
    first, _, renewed, same = outcome
    assert first.strip() != renewed and same


@page
def test_a_file_that_cannot_be_used_leaves_the_page_as_it_is(outcome):
    first, kept, _, _ = outcome
    assert kept == first


def expire(site, whose):
    """The ends of the connections, the attempt that failed after them, and whether the renewed certificate brings the link back."""
    folder = site.folder(f"renewal_{whose}")
    plant = SequencePlant(4)
    pki = folder / "pki"
    shutil.copytree(site.pki, pki)
    shutil.copytree(pki, folder / "renewed")
    with contextlib.ExitStack() as stack:
        # What takes its time comes first: the certificate has little.
        broker = stack.enter_context(Broker(folder / "broker", pki, ("short",)))
        sim = stack.enter_context(Simulator(folder / "sim", plant.description))
        if whose == "server":
            broker.control("eval", "ssl:clear_pem_cache().")  # it reads the files anew for the next connection
        short_lived(pki, *(("gateway", "client", "gateway") if whose == "gateway" else ("server", "server", "localhost")))
        cloud = cloud_part(broker.port, "short", pki)
        gateway = stack.enter_context(Gateway(folder, {**plant.configuration(sim.where), "cloud": cloud, "store": SEALED}))
        gateway.start().wait_for_link()
        records = wait_until(lambda: up_to_the_refusal(gateway), LIFE_S + 20, "the link has ended, and an attempt failed")
        expired = gateway.status()
        later = gateway.wait_for_status(
            lambda now: now["store"]["readings"] > expired["store"]["readings"], 20, "readings go on"
        )
        for suffix in (".key", ".pem"):
            name = "gateway" if whose == "gateway" else "server"
            shutil.copy(folder / "renewed" / f"{name}{suffix}", pki / f"{name}{suffix}.new")
            (pki / f"{name}{suffix}.new").rename(pki / f"{name}{suffix}")
        if whose == "server":
            broker.stop()
            broker.start()
        back = gateway.wait_for_status(
            lambda now: now["link"]["state"] == "up" and now["store"]["unsent_batches"] <= 1, 40, "the link is back"
        )
        gateway.stop()
    return records, later, back


def up_to_the_refusal(gateway):
    """The records of the connections, and of the first attempt behind them that failed."""
    records = [one for one in gateway.call("attempts", after=0, limit=1000)["records"] if one["outcome"] != "up"]
    while records and records[0]["what"] != "connection":
        records.pop(0)
    refusals = [number for number, one in enumerate(records) if one["what"] == "attempt"]
    return records[: refusals[0] + 1] if refusals else None


def run_expiry(site):
    return {whose: expire(site, whose) for whose in ("gateway", "server")}


expiry = pytest.mark.scenario(run_expiry, turn=2)
SUBJECTS = {"gateway": "gateway", "server": "localhost"}


@expiry
@pytest.mark.parametrize("whose", SUBJECTS)
def test_a_link_ends_when_its_certificate_expires_and_the_next_attempt_says_why(outcome, whose):
    (*ends, attempt), later, _ = outcome[whose]
    subject = SUBJECTS[whose]
    assert {(end["what"], end["outcome"]) for end in ends} == {("connection", "closed")}, ends
    reasons = [end["reason"].removeprefix(f"closed here, because the certificate of {subject} ") for end in ends]
    if whose == "server":
        # So late that the next connection may come too late, too.
        assert reasons.pop(0) == "expires soon, and may have been renewed", ends
    assert reasons == ["has expired"] or whose == "server" and not reasons, ends
    assert (attempt["what"], attempt["outcome"], attempt["step"]) == ("attempt", "failed", "tls"), attempt
    assert f"certificate of {subject} expired on 20" in attempt["reason"], attempt
    assert later["link"]["state"] in ("waiting", "connecting")


@expiry
@pytest.mark.parametrize("whose", SUBJECTS)
def test_a_renewed_certificate_brings_it_back_and_nothing_is_lost(outcome, whose):
    _, _, back = outcome[whose]
    assert back["store"]["lost_readings"] == 0
