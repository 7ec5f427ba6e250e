"""A peer that plays Azure's side of AMQP as it is documented: IoT Hub for devices, and Event Hubs. Independent of Forebay:
python3-qpid-proton, hmac. It checks every put-token and message, and notes what breaks a rule in `problems`.

Sources: "Communicate with your IoT hub by using the AMQP Protocol", "Control access to IoT Hub with SAS", "Create and read
IoT Hub messages"; "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide", "Authenticate access to Event Hubs with
SAS"."""

import base64
import hashlib
import hmac
import re
import time
import urllib.parse

from common import wait_until
from played_peer import PlayedPeer
from proton import Condition, Message
from proton.handlers import MessagingHandler

MESSAGE_BYTES_MAX = 256 * 1024
TOKEN = re.compile(r"SharedAccessSignature (.*)")
# "Create and read IoT Hub messages", system property message-id.
MESSAGE_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")


class Refused(Exception):
    """code and description as the service gives them."""


def check_token(token, resource, key, policy, now_s):
    """The token's expiry in UTC seconds, or Refused."""
    fields = urllib.parse.parse_qs(TOKEN.fullmatch(token)[1], strict_parsing=True)
    if fields["sr"] != [resource]:
        raise Refused(401, f"the token is for {fields['sr']}, not for {resource}")
    if fields.get("skn", [None]) != [policy]:
        raise Refused(401, f"unknown policy {fields.get('skn')}")
    signed = f"{urllib.parse.quote_plus(resource)}\n{fields['se'][0]}".encode()
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if fields["sig"] != [signature]:
        raise Refused(401, "InvalidSignature: The token has an invalid signature.")
    if int(fields["se"][0]) <= now_s:
        raise Refused(401, "ExpiredToken: The token is expired.")
    return int(fields["se"][0])


class Peer(PlayedPeer, MessagingHandler):
    """name: of the device, or of the event hub. key: as the portal shows it (base64 text); None: certificates only."""

    def __init__(self, pki, name, key=None, policy=None, keep_renewals=True):
        super().__init__(auto_accept=False, prefetch=0)
        self.name, self.policy, self.keep_renewals = name, policy, keep_renewals
        self.set_key(key)
        self.prepare(pki, "azure", wants_certificate=key is None)
        self.connections, self.tokens, self.refused, self.messages, self.problems = 0, [], [], [], []
        self.link_properties, self.mechanisms = [], []
        self.expired = 0  # links closed since their token had expired
        self.links = {}  # connection: the one that messages come on
        self.expiry = {}  # connection: until when it may send, UTC seconds

    # What differs between the services.

    def set_key(self, key):
        raise NotImplementedError

    def check_message(self, message):
        """Texts that say what is wrong with it."""
        raise NotImplementedError

    # Life.

    def wait_for_messages(self, count, limit_s=40):
        wait_until(lambda: len(self.messages) >= count, limit_s, f"{count} messages arrive")

    def on_start(self, event):
        self.listen(event.container)

    def on_timer_task(self, event):
        if not self.goes_on(event.container):
            return
        for link in list(self.senders()):
            if self.expiry[link.connection] <= time.time():
                self.expired += 1
                link.condition = Condition("amqp:unauthorized-access", "ExpiredToken: the token has expired")
                link.close()
                del self.links[link.connection]

    def senders(self):
        return [link for connection, link in self.links.items() if connection in self.expiry]

    # The protocol.

    def on_connection_bound(self, event):
        event.transport.sasl().allowed_mechs("ANONYMOUS EXTERNAL" if self.key is None else "ANONYMOUS")

    def on_connection_opening(self, event):
        self.connections += 1
        self.mechanisms.append(event.transport.sasl().mech)
        if self.key is None:
            self.expiry[event.connection] = float("inf")

    def on_link_opening(self, event):
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        if link.is_sender:
            self.open_answers(link)
        elif link.remote_target.address == "$cbs" and self.key is not None:
            link.open()
            link.flow(10)
        else:
            self.open_events(link)

    def open_answers(self, link):
        if link.remote_source.address != "$cbs" or self.key is None:
            self.problems.append(f"a link from {link.remote_source.address}")
        self.answers = link
        link.open()

    def open_events(self, link):
        if link.remote_target.address != self.address:
            link.condition = Condition("amqp:not-found", f"no entity {link.remote_target.address}")
        elif self.expiry.get(link.connection, 0) <= time.time():
            link.condition = Condition("amqp:unauthorized-access", "no token for this entity")
            self.problems.append("a link before a token")
        link.open()
        if link.condition is not None:
            link.close()
            return
        self.link_properties.append(dict(link.remote_properties or {}))
        self.links[link.connection] = link
        link.flow(200)

    def on_transport_closed(self, event):
        self.links.pop(event.connection, None)  # or its token would run out on nobody

    def on_message(self, event):
        if event.link.remote_target.address == "$cbs":
            self.accept(event.delivery)
            self.take_token(event)
        else:
            self.take_message(event)

    def take_token(self, event):
        properties = event.message.properties
        if event.message.reply_to != self.answers.remote_target.address:
            self.problems.append(f"reply-to {event.message.reply_to}")
        if (properties["operation"], properties["type"]) != ("put-token", "servicebus.windows.net:sastoken"):
            self.problems.append(f"put-token with {properties}")
        code, description = 200, "OK"
        try:
            expiry = check_token(event.message.body, self.resource, self.key, self.policy, time.time())
            if properties["name"] != self.resource or int(properties["expiration"]) // 1000 != expiry:
                self.problems.append(f"name and expiration are not the token's: {properties}")
            if event.connection not in self.expiry or self.keep_renewals:
                self.expiry[event.connection] = expiry
            self.tokens.append((time.time(), expiry))
        except Refused as refusal:
            code, description = refusal.args
            self.refused.append(description)
        answer = Message(properties={"status-code": code, "status-description": description})
        answer.correlation_id = event.message.id
        self.answers.send(answer)

    def take_message(self, event):
        message = event.message
        size = len(message.encode())
        if size > MESSAGE_BYTES_MAX:
            event.link.condition = Condition("amqp:link:message-size-exceeded", f"{size} bytes")
            event.link.close()
            self.problems.append(f"a message of {size} bytes")
            return
        self.problems += self.check_message(message)
        self.messages.append(message)
        self.accept(event.delivery)
        event.link.flow(1)


class IotHub(Peer):
    """A hub with one device."""

    def set_key(self, key):
        self.key = None if key is None else base64.b64decode(key)
        self.resource = f"localhost/devices/{self.name}"
        self.address = f"/devices/{self.name}/messages/events"

    def check_message(self, message):
        if not MESSAGE_ID.fullmatch(message.id):
            yield f"message id {message.id}"
        if not all(isinstance(value, (str, bool, int)) for value in (message.properties or {}).values()):
            yield f"application properties {message.properties}"


class EventHub(Peer):
    """A namespace with one hub and one policy."""

    def set_key(self, key):
        self.key = key.encode()  # the text itself signs
        self.resource = f"sb://localhost/{self.name}"
        self.address = self.name

    def check_message(self, message):
        key = (message.annotations or {}).get("x-opt-partition-key")
        if not isinstance(key, str) or key != message.group_id:
            yield f"partition key {key}"
