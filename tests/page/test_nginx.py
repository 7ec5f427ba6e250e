"""nginx.conf.in: what it serves, what it refuses, and the headers on every answer."""

import http.client
import json
import re
import socket
import ssl

import pytest
from player import Plant

HEADERS = {
    "Content-Security-Policy": r"default-src 'self';.*frame-ancestors 'none'",
    "Strict-Transport-Security": r"max-age=\d+",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Server": "nginx$",
}


def ask(page, path, method="GET", headers=None, body=None):
    """status, headers, body of one request on a connection of its own."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = page.tls()
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("path, kind", [("/", "text/html"), ("/style.css", "text/css"), ("/main.js", "text/javascript"),
                                        ("/icon.svg", "image/svg+xml"), ("/api/status", "application/json")])
def test_serves_the_page_and_the_api(page, path, kind):
    status, headers, body = ask(page, path)
    assert status == 200 and headers["Content-Type"].startswith(kind) and body


@pytest.mark.parametrize(
    "path",
    ["/nginx.conf.in", "/README.md", "/index.html", "/nothing.js", "/.git/config", "/..%2fMakefile", "/%00", "/main.js/",
     "/web.sock", "/api/nothing"])
def test_refuses_what_is_not_meant_to_be_served(page, path):
    assert ask(page, path)[0] in (400, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/api/status"])
def test_only_reads(page, method, path):
    status, headers, _ = ask(page, path, method)
    assert status == 405
    if method != "TRACE":  # nginx refuses that one before it looks at the server's own rules
        assert headers["Allow"] == "GET, HEAD"


def test_head_has_no_body(page):
    assert ask(page, "/", "HEAD")[0::2] == (200, "")


def test_refuses_a_body(page):
    assert ask(page, "/api/status", "GET", body="x" * 2000)[0] == 413


@pytest.mark.parametrize("path, status", [("/", 200), ("/nothing", 404), ("/api/status", 200), ("/api/nothing", 404)])
def test_headers_stand_on_every_answer(page, path, status):
    got, headers, _ = ask(page, path)
    assert got == status
    for name, pattern in HEADERS.items():
        values = headers.get_all(name) or []
        assert len(values) == 1 and re.match(pattern, values[0]), (name, values)
    assert headers.get_all("Cache-Control") == ["no-store" if path.startswith("/api/") else "no-cache"]


def test_core_gets_the_request_and_nothing_else(page, player):
    ask(page, "/api/status?x=1", headers={"Cookie": "a=b", "X-Forwarded-For": "192.0.2.1"})
    assert player.requests[-1] == {
        "CONTENT_LENGTH": "0", "SCGI": "1", "REQUEST_METHOD": "GET", "REQUEST_URI": "/api/status?x=1",
        "DOCUMENT_URI": "/api/status", "QUERY_STRING": "x=1", "REMOTE_ADDR": "127.0.0.1",
    }  # fmt: skip


def test_events_arrive_as_they_are_written(page, player):
    """Twice a second, each for itself: a buffer that fills first would hold many of these small ones."""
    player.plant = Plant(instruments=1, tags=1)
    with page.tls() as connection:
        connection.settimeout(20)
        connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        pieces = []
        while b"".join(pieces).count(b"event: values") < 6:
            pieces.append(connection.recv(65536))
            assert pieces[-1], "the stream ended"
    received = b"".join(pieces)
    assert b"text/event-stream" in received and b"event: status" in received
    assert sum(b"event: values" in piece for piece in pieces) >= 4, [len(piece) for piece in pieces]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_speaks_current_tls(page, version):
    with page.tls(minimum_version=version, maximum_version=version) as connection:
        assert re.search("GCM|CHACHA20", connection.cipher()[0])


OLD = ssl.TLSVersion.TLSv1_1
TLS_1_1 = {"minimum_version": OLD, "maximum_version": OLD, "ciphers": "ALL:@SECLEVEL=0"}
CBC = {"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("options", [TLS_1_1, CBC], ids=["TLS 1.1", "CBC"])
def test_refuses_old_tls(page, options):
    with pytest.raises(ssl.SSLError, match="ALERT"):
        page.tls(**options)


def test_a_client_that_never_finishes_its_request_is_dropped(page):
    with page.tls() as connection:
        connection.settimeout(30)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        try:
            assert b"408" in connection.recv(1000) or connection.recv(1000) == b""
        except ConnectionResetError:
            pass


def test_a_flood_is_slowed_down(page):
    with page.tls() as connection:
        connection.settimeout(10)
        connection.sendall(b"HEAD /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)
        received = b""
        while received.count(b"HTTP/1.1 ") < 300:
            received += connection.recv(65536)
    assert received.count(b"HTTP/1.1 429") > 50 and received.count(b"HTTP/1.1 200") >= 90


def test_without_core_the_api_says_so(page, player):
    path, hidden = player.folder / "web.sock", player.folder / "hidden.sock"
    path.rename(hidden)
    try:
        # The flood before this one is forgotten at 30 requests a second.
        status, headers, body = ask_patiently(page, "/api/status")
    finally:
        hidden.rename(path)
    assert status == 503 and json.loads(body)["error"] == "closed"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Content-Type"].startswith("application/json")


def ask_patiently(page, path):
    for _ in range(200):
        answer = ask(page, path)
        if answer[0] != 429:
            return answer
    raise AssertionError("always 429")


def test_listens_on_the_given_address_alone(page):
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", page.port), 1):
        pass
