"""A web server on this machine that misbehaves as told: for tests of whatever downloads."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html><title>Log in to the network</title></html>"
Act = Callable[["Handler", "Served"], None]


@dataclass
class Served:
    """One file: what is sent, and what goes wrong the next times that it is asked for."""

    content: bytes
    etag: str | None = None  # by default that of the content
    last_modified: str | None = None
    has_validators: bool = True
    takes_ranges: bool = True
    checks_if_range: bool = True
    plan: list[Act] = field(default_factory=list)  # one for each request, then all is well

    def tag(self) -> str | None:
        if not self.has_validators:
            return None
        return self.etag or f'"{hashlib.md5(self.content).hexdigest()}"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        self.web.requests.append((self.command, self.path, dict(self.headers)))
        served = self.web.files.get(self.path.lstrip("/"))
        try:
            if served is None:
                self.answer(404, b"not here")
            elif served.plan:
                served.plan.pop(0)(self, served)
            else:
                send(self, served)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_GET

    def answer(self, code: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.web.send_slowly(self.wfile, body)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_told: object) -> None:
        pass


def _range(handler: Handler, served: Served) -> int | None:
    found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    condition = handler.headers.get("If-Range")
    if found is None or not served.takes_ranges:
        return None
    current = (served.tag(), served.last_modified)
    if served.checks_if_range and condition is not None and condition not in current:
        return None
    return int(found[1])


def _answer(handler: Handler, served: Served) -> tuple[int, bytes, dict[str, str]]:
    headers = {"Content_Type": "application/octet-stream"}
    if tag := served.tag():
        headers["ETag"] = tag
    if served.last_modified:
        headers["Last_Modified"] = served.last_modified
    first, size = _range(handler, served), len(served.content)
    if first is None:
        return 200, served.content, headers
    if first >= size:
        return 416, b"", {"Content_Range": f"bytes */{size}"}
    headers["Content_Range"] = f"bytes {first}-{size - 1}/{size}"
    return 206, served.content[first:], headers


def send(handler: Handler, served: Served) -> None:
    """Send the file, or the part that was asked for."""
    code, body, headers = _answer(handler, served)
    handler.answer(code, body, **headers)


def cut(after: int) -> Act:
    """Send so many bytes of what is due, then hang up."""

    def act(handler: Handler, served: Served) -> None:
        code, body, headers = _answer(handler, served)
        handler.answer(code, body[:after], length=len(body), **headers)
        handler.hang_up()

    return act


def status(code: int, **headers: str) -> Act:
    """Answer with a status alone."""
    return lambda handler, _served: handler.answer(code, b"", **headers)


def page(kind: str = "text/html; charset=utf-8") -> Act:
    """Answer with a login page, as a network does that wants one."""
    return lambda handler, _served: handler.answer(200, PAGE, Content_Type=kind)


def redirect(to: str) -> Act:
    """Point to another place."""
    return lambda handler, _served: handler.answer(302, b"", Location=to)


def lie(length: int) -> Act:
    """State another length than that of what is sent."""

    def act(handler: Handler, served: Served) -> None:
        code, body, headers = _answer(handler, served)
        handler.answer(code, body, length=length, **headers)
        handler.hang_up()

    return act


def stall(seconds: float) -> Act:
    """Send half, then nothing for a while."""

    def act(handler: Handler, served: Served) -> None:
        code, body, headers = _answer(handler, served)
        handler.answer(code, body[: len(body) // 2], length=len(body), **headers)
        handler.wfile.flush()
        time.sleep(seconds)
        handler.hang_up()

    return act


def without_length(handler: Handler, served: Served) -> None:
    """Send all, in chunks, and never say how much it is."""
    code, body, headers = _answer(handler, served)
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")


class Web:
    """The server: `files` by path, `requests` in the order in which they came."""

    def __init__(self, piece: int = 0, pause: float = 0.0) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self._piece, self._pause = piece, pause  # bytes sent at once, and seconds between them
        handler = type("BoundHandler", (Handler,), {"web": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_told: None  # who asked has gone away
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def put(self, name: str, content: bytes, *plan: Act, **settings: object) -> str:
        """Serve a file; give its address."""
        self.files[name] = Served(content, plan=list(plan), **settings)
        return self.url(name)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def ranges(self) -> list[str | None]:
        """The ranges that were asked for."""
        return [headers.get("Range") for _method, _path, headers in self.requests]

    def send_slowly(self, stream, body: bytes) -> None:
        if not self._piece:
            stream.write(body)
            return
        for start in range(0, len(body), self._piece):
            stream.write(body[start : start + self._piece])
            time.sleep(self._pause)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
