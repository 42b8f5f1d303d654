"""Which server, and as whom: arguments, environment, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import SECRET

from symbl_async import ConfigurationError, SymblClient
from symbl_async._target import Target, read_target

VARIABLES = ("BASE_URL", "APP_ID", "APP_SECRET", "APP_SECRET_FILE", "ACCESS_TOKEN")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"SYMBL_{name}", raising=False)


def target(base_url: str | None = "https://x.example", **options: Any) -> Target:
    """Read a target with a token."""
    options = {"app_id": None, "app_secret": None, "access_token": "t", "allow_insecure_http": False, **options}
    return read_target(base_url, **options)


def test_without_a_server_the_ways_out_are_named() -> None:
    """The error names the variable, local() and serve."""
    with pytest.raises(ConfigurationError) as caught:
        SymblClient()
    for word in ("SYMBL_BASE_URL", "local()", "symbl-async serve"):
        assert word in str(caught.value)


def test_without_credentials_the_variables_are_named() -> None:
    """So does the one for credentials."""
    with pytest.raises(ConfigurationError, match="SYMBL_ACCESS_TOKEN"):
        SymblClient(base_url="https://x.example")


@pytest.mark.parametrize(("given", "missing"), [("app_id", "app_secret"), ("app_secret", "app_id")])
def test_half_a_pair_is_refused(given: str, missing: str) -> None:
    """The other half is named, and a secret is not."""
    with pytest.raises(ConfigurationError, match=missing) as caught:
        target(access_token=None, **{given: SECRET})
    assert SECRET not in str(caught.value)


def test_environment_is_read_at_construction(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variables complete what is not given; the secret may lie in a file; arguments win."""
    monkeypatch.setenv("SYMBL_BASE_URL", "https://env.example/")
    monkeypatch.setenv("SYMBL_APP_ID", "me")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.setenv("SYMBL_APP_SECRET_FILE", str(tmp_path / "secret"))
    read = target(None, access_token=None)
    assert read.base_url == "https://env.example"
    assert read.credentials.app_id == "me"
    assert read.credentials.app_secret is not None
    assert read.credentials.app_secret.reveal() == SECRET
    monkeypatch.setenv("SYMBL_APP_SECRET", "nearer")
    other = target(None, access_token=None).credentials.app_secret
    assert other is not None
    assert other.reveal() == "nearer"
    given = target("https://given.example", access_token="mine")
    assert given.base_url == "https://given.example"
    assert given.credentials.app_id is None
    assert SECRET not in f"{read!r} {read} {read.credentials!r}"


def test_unreadable_secret_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret file that is not there is an error of configuration."""
    monkeypatch.setenv("SYMBL_APP_ID", "me")
    monkeypatch.setenv("SYMBL_APP_SECRET_FILE", str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match="SYMBL_APP_SECRET_FILE"):
        target(access_token=None)


@pytest.mark.parametrize(
    "url",
    [
        "x.example",
        "ftp://x.example",
        "https://",
        "https:///path",
        "https://user@x.example",
        "https://user:pass@x.example",
        "https://x.example?a=b",
        "https://x.example#a",
        "https://x.example:port",
        "https://x.example:99999",
        "https://[::1",
        "http://x.example",
        "http://192.168.1.5:8000",
        "http://0.0.0.0:80",
        "https://x.example/a b",
        "https://x.example/\r\nX: y",
    ],
)
def test_row_83_addresses_that_cannot_be_used(url: str) -> None:
    """Each is refused at construction, and a password in it is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        target(url)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://x.example", "https://x.example:443"),
        ("https://X.Example:8443/api/", "https://x.example:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://localhost", "http://localhost:80"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("HTTPS://x.example", "https://x.example:443"),
    ],
)
def test_addresses_that_can(url: str, origin: str) -> None:
    """Https anywhere, plain http to this machine; the origin is spelled one way."""
    assert target(url).origin == origin
    assert not target(url).base_url.endswith("/")


def test_plain_http_needs_a_word() -> None:
    """It can be allowed, by name."""
    with pytest.raises(ConfigurationError, match="allow_insecure_http"):
        target("http://10.0.0.7")
    assert target("http://10.0.0.7", allow_insecure_http=True).origin == "http://10.0.0.7:80"


@pytest.mark.parametrize("token", ["a b", "a\n", "a\r\nX: y", "é"])
def test_token_that_fits_no_header_is_refused(token: str) -> None:
    """A token with a line end, from a file perhaps, is told at construction and not shown."""
    with pytest.raises(ConfigurationError, match="access token") as caught:
        target(access_token=token)
    assert token not in str(caught.value)
