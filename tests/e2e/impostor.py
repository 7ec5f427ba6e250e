"""Peers that are not what they should be: another certificate, an old TLS, or nothing to say at all."""

import contextlib
import socket
import ssl
import threading


class Impostor:
    """A TLS server that shows a certificate and goes no further."""

    def __init__(self, certificate, newest=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.with_suffix(".pem"), certificate.with_suffix(".key"))
        if newest is not None:
            self.context.set_ciphers("DEFAULT:@SECLEVEL=0")
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = newest
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(0.1)
        self.port = self.server.getsockname()[1]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        while not self.ending.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self.server.accept()
                with connection:
                    connection.settimeout(10)
                    with self.context.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(5)
        self.server.close()


class Silent:
    """Takes connections (the kernel does) and never says a word."""

    def __init__(self, host="127.0.0.1", port=0):
        self.where = host, port

    def __enter__(self):
        self.server = socket.create_server(self.where)
        self.port = self.server.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.server.close()


class Mute(Impostor):
    """Finishes TLS, asks for a client's certificate, and then never says a word."""

    def _serve(self):
        self.server.settimeout(0.1)
        kept = []
        while not self.ending.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self.server.accept()
                connection.settimeout(10)
                kept.append(self.context.wrap_socket(connection, server_side=True))
        for connection in kept:
            connection.close()
