"""Which server, and as whom: read from arguments and environment, checked, secrets wrapped."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen

from ._transport.session import Credentials
from ._transport.token import Secret
from .errors import ConfigurationError

_NO_SERVER = (
    "no server is named: pass base_url (--base-url) or set SYMBL_BASE_URL. To work without one, use "
    "SymblClient.local() (--local), or start a server with `symbl-async serve` "
    "(both need pip install 'symbl_async[local]')"
)
_NO_CREDENTIALS = (
    "no credentials are named: pass app_id and app_secret, or access_token, or set SYMBL_APP_ID and SYMBL_APP_SECRET, "
    "or SYMBL_ACCESS_TOKEN. A server started with `symbl-async serve` prints the lines to set"
)


@frozen
class Target:
    """A server and the credentials for it.

    Attributes:
        base_url: Without a slash at the end.
        origin: Scheme, host and port alone.
    """

    base_url: str
    credentials: Credentials = field(repr=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port, spelled one way."""
        parts = urlsplit(self.base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}:{port}"


def read_target(
    base_url: str | None,
    app_id: str | None,
    app_secret: str | None,
    access_token: str | None,
    *,
    allow_insecure_http: bool,
) -> Target:
    """Complete the arguments from the ``SYMBL_*`` variables and check them.

    Raises:
        ConfigurationError: Something is missing or cannot be used; the text names it.
    """
    base_url = base_url or os.environ.get("SYMBL_BASE_URL")
    if not base_url:
        raise ConfigurationError(_NO_SERVER)
    if not access_token:
        # An explicit token needs nothing else; half a pair is completed from the environment.
        given = bool(app_id or app_secret)
        app_id = app_id or os.environ.get("SYMBL_APP_ID")
        app_secret = app_secret or os.environ.get("SYMBL_APP_SECRET") or _secret_file()
        access_token = None if given else os.environ.get("SYMBL_ACCESS_TOKEN")
    if bool(app_id) != bool(app_secret):
        missing = "app_secret (SYMBL_APP_SECRET)" if app_id else "app_id (SYMBL_APP_ID)"
        raise ConfigurationError(f"the credentials are not complete: {missing} is missing")
    if not app_id and not access_token:
        raise ConfigurationError(_NO_CREDENTIALS)
    if access_token and not (access_token.isascii() and access_token.isprintable() and " " not in access_token):
        raise ConfigurationError("the access token holds a space, line end or other character that no token has")
    credentials = Credentials(
        app_id or None,
        Secret(app_secret) if app_secret else None,
        Secret(access_token) if access_token else None,
    )
    return Target(_checked(base_url, allow_insecure_http), credentials)


def _secret_file() -> str | None:
    path = os.environ.get("SYMBL_APP_SECRET_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"SYMBL_APP_SECRET_FILE: {path} cannot be read: {error.strerror}") from None


def _checked(base_url: str, allow_insecure_http: bool) -> str:
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError("base_url is not a URL; it looks like https://symbl.example.com") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError("base_url must start with https:// (or http://) and name a host")
    if any(character.isspace() or not character.isprintable() for character in base_url):
        raise ConfigurationError("base_url must not contain spaces, line ends or other such characters")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not carry a user name or password; pass app_id and app_secret")
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must not carry a query or fragment")
    if parts.scheme == "http" and not _loopback(host) and not allow_insecure_http:
        raise ConfigurationError(
            f"base_url is plain http to {host}: the secret would go out readable. Use https, or pass "
            "allow_insecure_http=True if the network is yours"
        )
    return base_url.rstrip("/")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
