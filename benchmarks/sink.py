"""A server that takes submissions and throws them away, in a process of its own and at the least cost."""

from __future__ import annotations

import json
import multiprocessing
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from attrs import frozen

BUFFER_BYTES = 1024 * 1024

TOKEN = {"accessToken": "token", "expiresIn": 86400}
ACCEPTED = {"conversationId": "5815170693595136", "jobId": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"}


@frozen
class Sink:
    """A sink that runs elsewhere.

    Attributes:
        plain: Its address without TLS.
        tls: Its address with TLS.
        certificate: What a client of the latter has to trust.
    """

    plain: str
    tls: str
    certificate: Path

    def url(self, *, tls: bool) -> str:
        """Return its address."""
        return self.tls if tls else self.plain


@contextmanager
def sink_process(folder: Path) -> Iterator[Sink]:
    """Run a sink in a fresh process; its certificate is made in *folder*."""
    certificate, key = folder / "sink.pem", folder / "sink.key"
    names = "subjectAltName=IP:127.0.0.1"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=sink -addext {names}".split()
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, certificate, key))
    process.start()
    theirs.close()  # so that a process which dies is an end of the pipe
    try:
        plain, tls = ours.recv()
        yield Sink(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", certificate)
    finally:
        ours.close()
        process.join()


class _Plain:
    """What a connection says, without TLS."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def recv_into(self, buffer: memoryview) -> int:
        """Wait for bytes; none at the end."""
        return self.connection.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        """Send them."""
        self.connection.sendall(data)


class _Tls(_Plain):
    """The same within TLS; records are taken from large reads, where ``SSLSocket`` asks the system twice for each."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(connection)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw = memoryview(bytearray(BUFFER_BYTES))

    def recv_into(self, buffer: memoryview) -> int:
        """Wait for bytes; none at the end."""
        while True:
            try:
                return self._tls.read(len(buffer), buffer)  # type: ignore[return-value] # the stub knows one of two
            except ssl.SSLWantReadError:
                self._flush()
                if not (count := self.connection.recv_into(self._raw)):
                    return 0
                self._incoming.write(self._raw[:count])
            except ssl.SSLZeroReturnError:
                return 0

    def sendall(self, data: bytes) -> None:
        """Send them."""
        self._tls.write(data)
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.connection.sendall(self._outgoing.read())


Wrap = Callable[[socket.socket], _Plain]


def _run(pipe: Connection, certificate: Path, key: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    wraps: tuple[Wrap, ...] = (_Plain, partial(_Tls, context=context))
    ports = []
    for wrap in wraps:
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=_accept, args=(listener, wrap), daemon=True).start()
        ports.append(listener.getsockname()[1])
    pipe.send(ports)
    with suppress(EOFError):
        pipe.recv()


def _accept(listener: socket.socket, wrap: Wrap) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, wrap), daemon=True).start()


def _serve(connection: socket.socket, wrap: Wrap) -> None:
    """Answer the requests of one connection."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    with suppress(OSError), connection:
        stream = wrap(connection)
        while head := _read_head(stream, buffer):
            lines, left = head
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            if headers.get("expect", "").lower() == "100-continue":
                stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            left += int(headers.get("content-length", "0"))
            while left > 0 and (count := stream.recv_into(buffer)):
                left -= count
            if left > 0:
                return
            stream.sendall(_answer(lines[0].split(" ")[1]))


def _read_head(stream: _Plain, buffer: memoryview) -> tuple[list[str], int] | None:
    """Return the lines before the body, and minus the bytes of the body that came with them."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (count := stream.recv_into(buffer)):
            return None
        data += buffer[:count]
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), -len(body)


def _answer(target: str) -> bytes:
    status, content = (200, TOKEN) if target.startswith("/oauth2/") else (201, ACCEPTED)
    data = json.dumps(content).encode()
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
    )
