"""The cloud's side of commands, independent of Forebay: keys, tokens (docs/commands.md), a sender and a receiver of
python3-qpid-proton."""

import base64
import json
import os
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from proton import Message, SSLDomain, Timeout
from proton.utils import BlockingConnection

HEADERS = {"EdDSA": b'{"alg":"EdDSA","typ":"forebay-command"}', "ES256": b'{"alg":"ES256","typ":"forebay-command"}'}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Key:
    """algorithm: EdDSA or ES256."""

    def __init__(self, algorithm):
        self.algorithm = algorithm
        generate = ed25519.Ed25519PrivateKey.generate
        self.key = generate() if algorithm == "EdDSA" else ec.generate_private_key(ec.SECP256R1())

    def write_public(self, path):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        path.write_bytes(self.key.public_key().public_bytes(serialization.Encoding.PEM, form))
        return path

    def write_private(self, path):
        form = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        path.write_bytes(self.key.private_bytes(serialization.Encoding.PEM, form, plain))
        path.chmod(0o600)
        return path

    def signature(self, text):
        if self.algorithm == "EdDSA":
            return self.key.sign(text)
        r, s = utils.decode_dss_signature(self.key.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign(self, payload, header=None):
        text = base64url(header or HEADERS[self.algorithm]) + b"." + base64url(payload)
        return text + b"." + base64url(self.signature(text))


def claims(gateway, command, arguments=None, /, **changes):
    """changes: members to replace; None leaves one out."""
    now_s = int(time.time())
    members = {
        "gateway": gateway, "nonce": base64url(os.urandom(16)).decode(), "iat": now_s, "exp": now_s + 300,
        "command": command, "arguments": arguments or {}, **changes,
    }  # fmt: skip
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


class Commander:
    """Sends commands to one queue and takes replies from another."""

    def __init__(self, port, pki, commands, replies):
        self.url, self.pki = f"amqps://localhost:{port}", pki
        self.commands, self.replies = f"/queues/{commands}", f"/queues/{replies}"
        self.count = 0
        self.answered = set()

    def __enter__(self):
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_credentials(f"{self.pki}/consumer.pem", f"{self.pki}/consumer.key", None)
        domain.set_trusted_ca_db(f"{self.pki}/ca.pem")
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        self.connection = BlockingConnection(
            self.url, timeout=20, ssl_domain=domain, sasl_enabled=True, allowed_mechs="EXTERNAL"
        )
        self.sender = self.connection.create_sender(self.commands)
        self.receiver = self.connection.create_receiver(self.replies, credit=100)
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send(self, body, inferred=True):
        """Returns the message id."""
        self.count += 1
        message = Message(id=f"command-{self.count}", body=body, inferred=inferred, durable=True)
        self.sender.send(message)
        return message.id

    def receive(self, limit_s=20):
        message = self.receiver.receive(timeout=limit_s)
        self.receiver.accept()
        assert (message.subject, message.content_type, message.durable) == ("reply", "application/json", True)
        return message.correlation_id, json.loads(bytes(message.body))

    def ask(self, body, limit_s=20):
        """The reply to it. One to an earlier command may come again, after a kill between reply and settlement."""
        wanted = self.send(body)
        got, reply = self.receive(limit_s)
        while got != wanted:
            assert got in self.answered, f"the reply is to {got}, not to {wanted}: {reply}"
            got, reply = self.receive(limit_s)
        self.answered.add(got)
        return reply

    def replies_until_silence(self, limit_s):
        """Everything that comes until nothing has come for limit_s."""
        replies = []
        while True:
            try:
                replies.append(self.receive(limit_s)[1])
            except Timeout:
                return replies
