"""Settings by flag, environment and file."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from symbl_async.errors import ConfigurationError
from symbl_async.server import ServerSettings, configuration
from symbl_async.server.configuration import read_pairs, read_settings


def write(folder: Path, text: str) -> Path:
    """A settings file."""
    file = folder / "server.toml"
    file.write_text(text, "utf-8")
    return file


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    """One order for every setting."""
    file = write(tmp_path, "job_limit = 2\nport = 1000\nworkers = 3\nhost = '::1'\n")
    environ = {"SYMBL_SERVER_PORT": "2000", "SYMBL_SERVER_WORKERS": "4", "PATH": "/bin"}
    settings = read_settings(
        {"workers": 5, "host": None}, environ=environ, file=file, defaults={"port": 1, "strict": True}
    )
    assert (settings.job_limit, settings.port, settings.workers, settings.host) == (2, 2000, 5, "::1")
    assert settings.strict
    assert settings.max_connections == ServerSettings().max_connections


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(ServerSettings)])
def test_every_setting_can_be_given_in_each_way(name: str, tmp_path: Path) -> None:
    """What is added to the settings is in the file, the environment and --set without further doing."""
    values = {
        "host": "localhost", "tls_cert": "c.pem", "tls_key": "k.pem", "public_hosts": "a.example,b.example",
        "log_format": "json", "allow_url_hosts": "10.0.0.0/8",
    }  # fmt: skip
    default = getattr(ServerSettings(), name)
    text = values.get(name) or (
        "true" if isinstance(default, bool) and not default else "false" if default is True else "1025"
    )
    other = {"tls_cert": {"tls_key": Path("k")}, "tls_key": {"tls_cert": Path("c")}}.get(name, {})
    found = read_settings({}, environ={f"SYMBL_SERVER_{name.upper()}": text}, defaults=other)
    assert getattr(found, name) != default
    if name in ("app_secret", "metrics_token", "speech_api_key", "language_api_key"):
        with pytest.raises(ConfigurationError, match="secret"):
            read_pairs([f"{name}={text}"])
        with pytest.raises(ConfigurationError, match=f"{name}_file"):
            read_settings({}, environ={}, file=write(tmp_path, f"{name} = 'x'\n"))
        return
    assert getattr(read_settings(read_pairs([f"{name}={text}"]), environ={}, defaults=other), name) == getattr(
        found, name
    )
    file = write(tmp_path, f"{name} = '{text}'\n")
    in_file = getattr(read_settings({}, environ={}, file=file, defaults=other), name)
    assert in_file == (tmp_path / text if isinstance(in_file, Path) else getattr(found, name))


@pytest.mark.parametrize(
    ("environ", "toml", "said"),
    [
        ({"SYMBL_SERVER_JOB_LIMT": "2"}, "", "SYMBL_SERVER_JOB_LIMT.*did you mean SYMBL_SERVER_JOB_LIMIT"),
        ({}, "job_limt = 2", r"server\.toml.*job_limt; did you mean job_limit"),
        ({}, "[server]\nport = 1", r"server\.toml.*no setting server"),
        ({"SYMBL_SERVER_PORT": "http"}, "", "SYMBL_SERVER_PORT has to be a whole number"),
        ({"SYMBL_SERVER_STALL_TIMEOUT": "soon"}, "", "SYMBL_SERVER_STALL_TIMEOUT has to be a number"),
        ({"SYMBL_SERVER_STRICT": "maybe"}, "", "SYMBL_SERVER_STRICT has to be true or false"),
        ({"SYMBL_SERVER_MAX_UPLOAD_BYTES": "8 GB"}, "", "SYMBL_SERVER_MAX_UPLOAD_BYTES"),
        ({}, "port = true", "port"),
        ({}, "strict = 1", "strict has to be a text"),
        ({}, "host = 4", "host has to be a text"),
        ({}, "public_hosts = [1]", "public_hosts has to be a list of texts"),
        ({}, "port = ", "is not TOML"),
        ({"SYMBL_SERVER_APP_SECRET": "x", "SYMBL_SERVER_APP_SECRET_FILE": "y"}, "", "exclude each other"),
        ({"SYMBL_SERVER_APP_SECRET_FILE": "/absent"}, "", "SYMBL_SERVER_APP_SECRET_FILE: /absent cannot be read"),
        ({"SYMBL_SERVER_CONFIG": "/absent.toml"}, "", "/absent.toml cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(environ: dict[str, str], toml: str, said: str, tmp_path: Path) -> None:
    """Unknown names are refused with the nearest known one, values with what was expected."""
    with pytest.raises(ConfigurationError, match=said):
        read_settings({}, environ=environ, file=write(tmp_path, toml) if toml else None)


def test_secrets_are_read_from_files_of_their_own(tmp_path: Path) -> None:
    """Paths are relative to the settings file; the end of the line is no part of a secret; nothing shows it."""
    (tmp_path / "secret").write_text("swordfish\n", "utf-8")
    file = write(tmp_path, "app_id = 'one'\napp_secret_file = 'secret'\nmetrics_token_file = 'secret'\n")
    settings = read_settings({}, environ={}, file=file)
    assert (settings.app_id, settings.app_secret, settings.metrics_token) == ("one", "swordfish", "swordfish")
    assert "swordfish" not in repr(settings)
    (tmp_path / "secret").write_text("\n", "utf-8")
    with pytest.raises(ConfigurationError, match="is empty"):
        read_settings({}, environ={}, file=file)


def test_variables_of_the_client_name_the_pair_too(tmp_path: Path) -> None:
    """As before; the server's own win, and of the client's the plain secret does."""
    (tmp_path / "secret").write_text("from-file", "utf-8")
    environ = {"SYMBL_APP_ID": "one", "SYMBL_APP_SECRET_FILE": str(tmp_path / "secret"), "SYMBL_BASE_URL": "ignored"}
    assert read_settings({}, environ=environ).app_secret == "from-file"
    assert read_settings({}, environ={**environ, "SYMBL_APP_SECRET": "plain"}).app_secret == "plain"
    own = {**environ, "SYMBL_APP_SECRET": "plain", "SYMBL_SERVER_APP_ID": "two", "SYMBL_SERVER_APP_SECRET": "own"}
    settings = read_settings({}, environ=own)
    assert (settings.app_id, settings.app_secret) == ("two", "own")


def test_sizes_may_have_units() -> None:
    """Bytes, or a number with KiB, MiB, GiB or TiB."""
    for text, size in (("1024", 1024), ("2KiB", 2048), ("3 mib", 3 * 2**20), ("1GiB", 2**30)):
        assert read_settings({}, environ={"SYMBL_SERVER_MAX_UPLOAD_BYTES": text}).max_upload_bytes == size


def test_lists_of_numbers_are_read() -> None:
    """From a text with commas and from a list; anything else is refused with its place."""
    assert configuration._several(float, "1, 2.5", "X") == (1.0, 2.5)
    assert configuration._several(float, [1, 2.5], "X") == (1, 2.5)
    for wrong in ("1;2", ["1"], 5):
        with pytest.raises(ConfigurationError, match=r"^X has to be .*numbers"):
            configuration._several(float, wrong, "X")


@pytest.mark.parametrize("pair", ["port", "=5", "prt=5"])
def test_unusable_pairs_are_refused(pair: str) -> None:
    """--set takes a known name and a value."""
    with pytest.raises(ConfigurationError, match="--set"):
        read_pairs([pair])
