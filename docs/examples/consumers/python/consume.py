#!/usr/bin/python3
"""Reads a queue that a Forebay gateway fills, and prints one line of JSON for every reading, each once in this run.

    consume.py amqps://broker.example:5671 /queues/readings --ca ca.pem --certificate reader.pem --key reader.key

Needs python3-qpid-proton, python3-cbor2 and python3-zstandard, and forebay_batch.py of tests/decoder beside it (or in
PYTHONPATH). When the connection breaks or the broker closes it, it connects again, for as long as it takes. What will not
mend by itself (certificates that do not fit, no such user, no permission, no such queue) ends it with status 1 while the
queue has never been reached, and is said and tried again later on.

A message is accepted only when its lines have been written: what follows must take a line twice after a crash, or keep
(store, batch) as this program does in memory."""

import argparse
import json
import pathlib
import random
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[4] / "tests" / "decoder"))

import forebay_batch  # noqa: E402
from proton import SSLDomain  # noqa: E402
from proton.handlers import MessagingHandler  # noqa: E402
from proton.reactor import Container  # noqa: E402

HEARTBEAT_S = 30
RETRY_FIRST_S, RETRY_MOST_S = 1, 60  # the longest waits after the first failure, and after many


def lines_of(batch, catalogue):
    """One object for each reading. catalogue: None while it is not known."""
    tags = {} if catalogue is None else {tag.number: tag for tag in catalogue.tags}
    for reading in batch.readings:
        tag = tags.get(reading.tag)
        quality, reason = forebay_batch.quality_words(reading.quality)
        yield {
            "gateway": batch.gateway, "store": batch.store.hex(), "batch": batch.number, "tag": reading.tag,
            "instrument": tag and tag.instrument, "name": tag and tag.name, "unit": tag and tag.unit,
            "time_ms": reading.time_ms, "value": reading.value, "quality": quality, "reason": reason,
            "detail": reading.detail,
        }  # fmt: skip


class Consumer(MessagingHandler):
    def __init__(self, options):
        super().__init__(prefetch=100, auto_accept=False, peer_close_is_error=True)
        self.options = options
        self.catalogues = {}  # hash: catalogue
        self.seen = set()  # (store, batch); a program that runs for ever keeps ranges of numbers instead
        self.reached = False  # the queue, once
        self.failures = 0  # since the last message
        self.domain = SSLDomain(SSLDomain.MODE_CLIENT)
        self.domain.set_credentials(options.certificate, options.key, None)
        self.domain.set_trusted_ca_db(options.ca)
        self.domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)

    def on_start(self, event):
        self.connect(event.container)

    def on_timer_task(self, event):
        self.connect(event.container)

    def connect(self, container):
        connection = container.connect(
            self.options.url, ssl_domain=self.domain, sasl_enabled=True, allowed_mechs="EXTERNAL", heartbeat=HEARTBEAT_S,
            reconnect=False,
        )  # fmt: skip
        container.create_receiver(connection, self.options.address)

    def on_link_opened(self, event):
        if event.link.remote_source.address:  # without one it is a refusal, with its reason to follow
            self.reached = True

    def on_message(self, event):
        handle = {"catalogue": self.take_catalogue, "batch": self.take_batch, "event": self.take_event}
        try:
            handle[event.message.subject](bytes(event.message.body))
        except (KeyError, ValueError) as error:
            print(f"{event.message.id}: refused: {error}", file=sys.stderr)
            self.reject(event.delivery)
            return
        sys.stdout.flush()
        self.failures = 0
        self.accept(event.delivery)

    def take_catalogue(self, frame):
        self.catalogues[forebay_batch.sha256(frame)] = forebay_batch.decode_catalogue(frame)

    def take_batch(self, frame):
        batch = forebay_batch.decode_batch(frame)
        if (batch.store, batch.number) in self.seen:
            return
        self.seen.add((batch.store, batch.number))
        for loss in batch.losses:
            print(f"{batch.gateway}: lost {loss}", file=sys.stderr)
        for line in lines_of(batch, self.catalogues.get(batch.catalogue)):
            print(json.dumps(line, ensure_ascii=False))

    def take_event(self, text):
        print(f"event: {text.decode()}", file=sys.stderr)

    def on_transport_error(self, event):
        condition = event.transport.condition
        refused = condition.name == "amqp:unauthorized-access" or "SSL Failure" in (condition.description or "")
        self.tell("connection", condition, lasting=refused)

    def on_connection_error(self, event):
        self.tell("connection", event.connection.remote_condition, lasting=False)

    def on_session_error(self, event):
        self.tell(self.options.address, event.session.remote_condition, lasting=True)
        event.connection.close()

    def on_link_error(self, event):
        self.tell(self.options.address, event.link.remote_condition, lasting=True)
        event.connection.close()

    def tell(self, what, condition, lasting):
        """Say what ended. lasting: before the queue has once been reached it is the end of this program, too."""
        text = f"{what}: {condition.name}: {condition.description}" if condition else f"{what}: closed by the broker"
        if lasting and not self.reached:
            raise SystemExit(text)
        print(f"{text}; trying again", file=sys.stderr, flush=True)

    def on_transport_closed(self, event):
        """However it ended: again, after a random part of a wait that doubles each time."""
        wait_s = min(RETRY_MOST_S, RETRY_FIRST_S * 2 ** min(self.failures, 10))
        self.failures += 1
        event.container.schedule(random.uniform(0, wait_s), self)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("url")
    parser.add_argument("address")
    for name in ("ca", "certificate", "key"):
        parser.add_argument(f"--{name}", required=True, metavar="FILE")
    Container(Consumer(parser.parse_args())).run()


if __name__ == "__main__":
    main()
