"""The far end, independent of Forebay: python3-qpid-proton reads the broker's queue, forebay_batch.py decodes."""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import sys
import threading
import time

from common import TESTS, wait_until
from proton import SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import Container

sys.path.insert(0, str(TESTS / "decoder"))

import forebay_batch  # noqa: E402  of tests/decoder


@dataclasses.dataclass
class Reading:
    """One reading as the receiver knows it. tag: (instrument, name)."""

    tag: tuple
    time_ms: int
    value: object
    quality: str
    reason: str
    detail: int
    batch: int


class Inbox(MessagingHandler):
    """Takes every message of one queue, keeps its bytes, then accepts it; connects again for ever, to each url in turn.
    every_s: one message in so long at most, until that is set to 0."""

    def __init__(self, urls, queue, pki, every_s=0):
        super().__init__(prefetch=0 if every_s else 100, auto_accept=False)
        self.paced, self.every_s, self.due_s, self.receiver = every_s > 0, every_s, 0, None
        self.urls, self.queue = itertools.cycle(urls), queue
        self.domain = SSLDomain(SSLDomain.MODE_CLIENT)
        self.domain.set_credentials(f"{pki}/consumer.pem", f"{pki}/consumer.key", None)
        self.domain.set_trusted_ca_db(f"{pki}/ca.pem")
        self.domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        self.messages = []
        self.stopping = threading.Event()

    def on_start(self, event):
        self._connect(event.container)
        event.container.schedule(0.1, self)

    def _connect(self, container):
        connection = container.connect(
            next(self.urls), ssl_domain=self.domain, sasl_enabled=True, allowed_mechs="EXTERNAL", reconnect=False, heartbeat=10
        )
        self.receiver = container.create_receiver(connection, f"/queues/{self.queue}")

    def on_timer_task(self, event):
        if self.stopping.is_set():
            event.container.stop()
            return
        if self.paced and time.monotonic() >= self.due_s and self.receiver.credit <= 0:
            self.due_s = time.monotonic() + self.every_s
            self.receiver.flow(1 if self.every_s else 100)
        event.container.schedule(0.1, self)

    def on_message(self, event):
        self.messages.append((time.time(), event.message))
        self.accept(event.delivery)

    def on_transport_closed(self, event):
        if not self.stopping.is_set():
            again = Again(self)
            event.container.schedule(0.3, again)

    def on_transport_error(self, event):
        pass  # told as closed, too

    def on_link_error(self, event):
        event.connection.close()

    on_session_error = on_connection_error = on_link_error


class Again(MessagingHandler):
    def __init__(self, inbox):
        super().__init__()
        self.inbox = inbox

    def on_timer_task(self, event):
        self.inbox._connect(event.container)


class Consumer:
    """Reads the queue until closed. What came stays in messages, repeats included. spares: ports to try when one fails.
    every_s: see Inbox."""

    def __init__(self, port, queue, pki, spares=(), every_s=0):
        self.inbox = Inbox([f"amqps://localhost:{one}" for one in (port, *spares)], queue, pathlib.Path(pki), every_s)
        self._view, self.seen = View(), 0
        self.thread = threading.Thread(target=lambda: Container(self.inbox).run(), name="consumer", daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.inbox.stopping.set()
        self.thread.join(10)
        assert not self.thread.is_alive(), "the consumer does not end"

    def hurry(self):
        """From now on every message is taken at once."""
        self.inbox.every_s = 0

    def wait_for_readings(self, tags, until_s, limit_s=60):
        """Wait until every one of the tags, (instrument, name), has a reading later than until_s (UTC seconds)."""
        wait_until(lambda: self.view().newest_s(tags) > until_s, limit_s, "the last readings arrive", every_s=0.2)

    def wait_for_gaps(self, limit_s=20):
        """Wait for backlog that goes beside live batches. What is missing then is left to the test's own look."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(map(self.view().missing_numbers, self.view().stores())), limit_s, "no gap is left")

    def view(self):
        """Everything received so far, decoded and checked. For one thread; the same object grows."""
        while self.seen < len(self.inbox.messages):
            self._view.add(self.inbox.messages[self.seen][1])
            self.seen += 1
        return self._view


class View:
    """What a careful receiver makes of the messages: catalogues, batches by (store, number), repeats removed."""

    def __init__(self):
        self.batches = {}  # (store, number): (bytes, decoded)
        self.catalogues = {}  # hash: decoded
        self.events = {}  # (store in hex, number): decoded
        self.repeats = 0
        self.wrong_properties = []
        self.newest_ms = {}  # (store, tag's number): time of its newest reading

    def add(self, message):
        body = bytes(message.body)
        if message.subject == "catalogue":
            catalogue = forebay_batch.decode_catalogue(body)
            self.catalogues[forebay_batch.sha256(body)] = catalogue
            self._check_properties(message, catalogue, catalogue.revision)
            return
        if message.subject == "event":
            self._add_event(message, json.loads(body))
            return
        assert message.subject == "batch", message.subject
        batch = forebay_batch.decode_batch(body)
        self._check_properties(message, batch, batch.number)
        kept = self.batches.setdefault((batch.store, batch.number), (body, batch))
        self.repeats += kept[1] is not batch
        assert kept[0] == body, f"batch {batch.number} came twice with different bytes"
        for one in batch.readings:
            key = batch.store, one.tag
            self.newest_ms[key] = max(one.time_ms, self.newest_ms.get(key, 0))

    def _add_event(self, message, event):
        """docs/link.md, "Events": identity is (store, number), they come in order."""
        key = event["store"], event["number"]
        wanted = f"{key[0]}/event/{key[1]}", event["gateway"], "application/json", True
        got = message.id, message.group_id, message.content_type, message.durable
        if got != wanted:
            self.wrong_properties.append((got, wanted, False))
        self.repeats += key in self.events
        assert self.events.setdefault(key, event) == event, f"event {key} came twice with different content"

    def _check_properties(self, message, content, number):
        """Against docs/batch.md, "On AMQP 1.0"."""
        kind = message.subject
        got = message.id, message.group_id, message.content_type, message.durable
        wanted = f"{content.store.hex()}/{kind}/{number}", content.gateway, f"application/vnd.forebay.{kind}", True
        historical = (message.properties or {}).get("historical", False)
        if got != wanted or not isinstance(historical, bool):
            self.wrong_properties.append((got, wanted, historical))

    def stores(self):
        return sorted({store for store, _ in self.batches})

    def losses(self):
        return [loss for _, batch in self.batches.values() for loss in batch.losses]

    def lost_readings(self):
        return sum(loss.readings for loss in self.losses())

    def missing_numbers(self, store):
        """Numbers up to the highest received that have not come."""
        numbers = {number for one, number in self.batches if one == store}
        return sorted(set(range(1, max(numbers, default=0) + 1)) - numbers)

    def check_chain(self):
        """Every batch names the bytes of the one before it, the first of a store nothing; every catalogue is known."""
        for (store, number), (_, batch) in self.batches.items():
            before = self.batches.get((store, number - 1))
            expected = bytes(32) if number == 1 else before and forebay_batch.sha256(before[0])
            assert expected is None or batch.previous == expected, f"batch {number} does not follow on {number - 1}"
            assert batch.catalogue in self.catalogues, f"batch {number} was made under an unknown catalogue"

    def readings(self):
        """Every reading once, in the order of batches, then of tags."""
        result = []
        for (_, number), (_, batch) in sorted(self.batches.items()):
            names = {tag.number: (tag.instrument, tag.name) for tag in self.catalogues[batch.catalogue].tags}
            for one in batch.readings:
                tag = names[one.tag]
                word, reason = forebay_batch.quality_words(one.quality)
                result.append(Reading(tag, one.time_ms, one.value, word, reason, one.detail, number))
        return result

    def newest_s(self, tags):
        """UTC seconds up to which readings of all these tags, (instrument, name), have arrived."""
        names = {(c.store, tag.number): (tag.instrument, tag.name) for c in self.catalogues.values() for tag in c.tags}
        newest = {}
        for key, time_ms in self.newest_ms.items():
            if key in names:  # a catalogue may come behind its batches
                newest[names[key]] = max(time_ms / 1000, newest.get(names[key], 0))
        return min(newest.get(tag, 0) for tag in tags)

    def by_tag(self):
        """{(instrument, tag): its readings, ordered by time}."""
        result = {}
        for one in self.readings():
            result.setdefault(one.tag, []).append(one)
        for readings in result.values():
            readings.sort(key=lambda one: one.time_ms)
        return result
