"""nginx with the tree's configuration, filled in as `forebay run` does, in front of any socket that speaks SCGI."""

import os
import pathlib
import socket
import ssl
import subprocess
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
WEB = TESTS.parent / "gateway" / "web"


def kept_port():
    """A socket bound to a port: nginx still gets it, nobody else does."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    return bound


def make_certificate(folder):
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", folder / "page.key", "-out", folder / "page.pem",
        ],
        check=True, capture_output=True, timeout=20,
    )  # fmt: skip


class ServedPage:
    """nginx over the folder, and the address at which the page is."""

    def __init__(self, folder):
        self.folder = folder
        self.kept = kept_port()
        self.port = self.kept.getsockname()[1]
        self.address = f"https://localhost:{self.port}/"
        self.process = None

    def start(self):
        make_certificate(self.folder)
        text = (WEB / "nginx.conf.in").read_text()
        values = {
            "RUN": self.folder, "SOCKET": self.folder / "web.sock", "PAGES": WEB,
            "LISTEN": "127.0.0.1", "PORT": self.port,
            "CERTIFICATE": self.folder / "page.pem", "KEY": self.folder / "page.key",
            "USER": "user root;" if os.geteuid() == 0 else "",
        }  # fmt: skip
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        file = self.folder / "nginx.conf"
        file.write_text(text)
        with open(self.folder / "nginx.log", "w", encoding="utf-8") as log:
            words = ["/usr/sbin/nginx", "-p", f"{self.folder}/", "-c", file, "-e", "stderr"]
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()

    def _wait(self):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            assert self.process.poll() is None, (self.folder / "nginx.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("nginx did not listen within 10 s")

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        self.process.wait(10)
        self.kept.close()

    def tls(self, **options):
        """A TLS connection to the page. options: attributes of the SSL context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.folder / "page.pem")
        for name, value in options.items():
            if name == "ciphers":
                context.set_ciphers(value)
            else:
                setattr(context, name, value)
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        return context.wrap_socket(plain, server_hostname="localhost")
