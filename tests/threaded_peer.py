"""The scripted server of ``peers`` with blocking sockets, on threads of its own.

What it does is not in step with the client's event loop, as with a real server: an answer that comes early, a reset
right behind it, a handshake that is broken off.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import define, field
from peers import ACCEPTED, KEPT_BYTES, Seen, break_on_close, http_answer, read_head


@define(eq=False)
class Line:
    """What a script works with: one request, and the connection it came on."""

    request: Seen
    socket: socket.socket
    early: bytes = b""
    open: bool = True
    heeds_expectations: bool = True

    def read(self, count: int) -> None:
        """Read *count* bytes of the body, or what there is of it; more only of what came along with the head."""
        if self.heeds_expectations and "expect" in self.request.headers and count and not self.request.bytes:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        count = min(count, self.request.length - self.request.bytes)
        while count > 0:
            data, self.early = self.early[:count], self.early[count:]
            data = data or self.socket.recv(min(count, 65536))
            if not data:
                self.open = False
                return
            count -= len(data)
            self.request.bytes += len(data)
            if len(self.request.body) < KEPT_BYTES:
                self.request.body += data

    def read_all(self) -> None:
        """Read the whole body."""
        self.read(self.request.length)

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.socket.sendall(data)

    def reply(self, status: int, body: Any = b"", headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send a well-formed answer; what is not bytes goes out as JSON."""
        self.send(http_answer(status, body, headers))

    def drain(self) -> None:
        """Swallow what still comes, so that an early answer is not lost to a reset, then close."""
        while self.socket.recv(65536):
            pass
        self.open = False

    def fin(self) -> None:
        """Close the connection; unread bytes make a reset of it, as with any server."""
        self.open = False

    def rst(self) -> None:
        """Break the connection."""
        break_on_close(self.socket)
        self.open = False


Script = Callable[[Line], None]


def answer(status: int, body: Any = b"", *headers: tuple[str, str]) -> Script:
    """Read everything, then answer this."""

    def script(line: Line) -> None:
        line.read_all()
        line.reply(status, body, headers)

    return script


def early(status: int, after: int, body: Any = b"", *headers: tuple[str, str]) -> Script:
    """Answer after so many bytes of the body, then swallow the rest."""

    def script(line: Line) -> None:
        line.read(after)
        line.reply(status, body, (("Connection", "close"), *headers))
        line.drain()

    return script


def complete(line: Line) -> None:
    """Say that the job which is asked for is over."""
    line.reply(200, {"id": line.request.target.rpartition("/")[2], "status": "completed"})


grant = answer(200, {"accessToken": "token-1", "expiresIn": 86400})
accept = answer(201, ACCEPTED)


class _Socket(ssl.SSLSocket):
    """Closes itself: one whose peer is gone before it is made is never handed out."""

    def __del__(self) -> None:
        self.close()


@define(eq=False)
class ThreadedPeer:
    """A server that follows a script for each kind of request; see ``peers.Peer``.

    Attributes:
        handshakes: Connections on which a TLS handshake was begun.
    """

    scripts: dict[str, list[Script]]
    listener: socket.socket
    tls: ssl.SSLContext | None = None
    ledger: list[Seen] = field(factory=list)
    connections: int = 0
    handshakes: int = 0
    _threads: list[threading.Thread] = field(factory=list)
    _sockets: set[socket.socket] = field(factory=set)
    _lock: threading.Lock = field(factory=threading.Lock)

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.listener.getsockname()[1]}"

    def seen(self, kind: str) -> list[Seen]:
        """The requests of one kind."""
        return [request for request in self.ledger if request.kind == kind]

    def start(self) -> None:
        """Begin to take connections."""
        self._run(self._accept)

    def stop(self) -> None:
        """Break what stands, and wait for every thread."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _run(self, function: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=function, args=args, name="threaded peer", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            # A client that breaks off is what many tests are about; a script that fails leaves its request unanswered.
            stack.enter_context(contextlib.suppress(OSError))
            stack.enter_context(connection)
            if self.tls is not None:
                self.handshakes += 1
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
            with self._lock:
                self._sockets.add(connection)
            stack.callback(self._forget, connection)
            self._follow(connection)

    def _follow(self, connection: socket.socket) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            line = Line(read_head(head), connection, data)
            with self._lock:
                self.ledger.append(line.request)
                scripts = self.scripts[line.request.kind]
                script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
            script(line)
            if not line.open:
                return
            data = line.early

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)


@contextmanager
def threaded_peer(*, tls: ssl.SSLContext | None = None, **scripts: Script | Sequence[Script]) -> Iterator[ThreadedPeer]:
    """Run a peer on a free loopback port; kinds without a script behave well.

    Args:
        tls: Speak TLS with this context.
        scripts: What to do with requests of a kind.
    """
    defaults: dict[str, list[Script]] = {
        "token": [grant],
        "submit": [accept],
        "job": [complete],
        "other": [answer(404, {"message": "not here"})],
    }
    for kind, given in scripts.items():
        defaults[kind] = [given] if callable(given) else list(given)
    if tls is not None:
        tls.sslsocket_class = _Socket
    one = ThreadedPeer(defaults, socket.create_server(("127.0.0.1", 0)), tls)
    one.start()
    try:
        yield one
    finally:
        one.stop()
