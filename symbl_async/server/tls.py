"""The server's certificate."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NoReturn

from ..errors import ConfigurationError


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Load a certificate and its key; reads files.

    Raises:
        ConfigurationError: They cannot be used; the text says which and why.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        for file in (certificate, key):
            with file.expanduser().open("rb"):
                pass
        context.load_cert_chain(certificate.expanduser(), key.expanduser(), _no_password)
    except ssl.SSLError as exc:
        reason = "they do not belong together" if exc.reason == "KEY_VALUES_MISMATCH" else "they are not PEM files"
        raise ConfigurationError(f"tls_cert {certificate} and tls_key {key} cannot be used: {reason}.") from None
    except OSError as exc:
        raise ConfigurationError(f"{exc.filename} cannot be read: {exc.strerror}.") from None
    return context


def _no_password() -> NoReturn:
    raise ConfigurationError("tls_key is encrypted, and a server has nobody to ask for its password: decrypt it.")
