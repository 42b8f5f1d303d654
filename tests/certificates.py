"""Certificates for loopback servers, good and bad ones, as ``openssl`` makes them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest


def server_context(folder: Path, *, name: str = "IP:127.0.0.1", days: int = 1) -> tuple[ssl.SSLContext, Path]:
    """Make a self-signed certificate; return the context of a server that shows it, and its file, to trust it by.

    Args:
        folder: Where its files go.
        name: Whom it is for.
        days: How long it is good from now; -1 makes one that has expired.
    """
    key, request, cert = folder / "key.pem", folder / "request.pem", folder / "cert.pem"
    new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=tests"]
    sign = f"x509 -req -days {days} -copy_extensions copy".split()
    for command in (
        [*new, "-addext", f"subjectAltName={name}", "-keyout", str(key), "-out", str(request)],
        [*sign, "-in", str(request), "-signkey", str(key), "-out", str(cert)],
    ):
        try:
            done = subprocess.run(["openssl", *command], capture_output=True, check=False)  # noqa: S603, S607
        except OSError:
            pytest.skip("there is no openssl to make a certificate with")
        if done.returncode:
            pytest.skip(f"this openssl makes no such certificate: {done.stderr.decode()[-200:]}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context, cert
