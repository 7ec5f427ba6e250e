"""What the peers have in common that a test plays to the link: certificates, a port, and a life in a thread of its own."""

import threading

from common import free_port
from proton import SSLDomain
from proton.reactor import Container

TURN_S = 0.1


class PlayedPeer:
    """Beside a handler of proton's, whose first event calls listen(), and whose on_timer_task() calls goes_on()."""

    def prepare(self, pki, name, wants_certificate):
        self.port = free_port()
        self.domain = SSLDomain(SSLDomain.MODE_SERVER)
        self.domain.set_credentials(f"{pki}/server.pem", f"{pki}/server.key", None)
        self.domain.set_trusted_ca_db(f"{pki}/ca.pem")
        if wants_certificate:
            self.domain.set_peer_authentication(SSLDomain.VERIFY_PEER, f"{pki}/ca.pem")
        self.listening, self.ending = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=lambda: Container(self).run(), name=name, daemon=True)

    def __enter__(self):
        self.thread.start()
        assert self.listening.wait(10)
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(10)
        assert not self.thread.is_alive(), "the peer does not end"

    def listen(self, container):
        self.acceptor = container.listen(f"amqps://127.0.0.1:{self.port}", self.domain)
        container.schedule(TURN_S, self)
        self.listening.set()

    def goes_on(self, container):
        """False at the end; otherwise on_timer_task() comes again."""
        if self.ending.is_set():
            self.acceptor.close()
            container.stop()
            return False
        container.schedule(TURN_S, self)
        return True
