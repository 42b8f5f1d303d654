"""Settings from a command line, the environment and a file: one reading for all three.

A setting has one name: ``job_limit`` in the file, ``SYMBL_SERVER_JOB_LIMIT`` in the environment, ``--job-limit`` or
``--set job_limit=5`` as a flag. Flags win over the environment, the environment over the file. Secrets are read from
the environment or from files of their own (``app_secret_file``), never from flags, which everybody on the machine sees.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import attrs

from ..errors import ConfigurationError
from .settings import ServerSettings

PREFIX = "SYMBL_SERVER_"
CONFIG_VARIABLE = "SYMBL_SERVER_CONFIG"

_SECRETS = tuple(field.name for field in attrs.fields(ServerSettings) if not field.repr)
_FILE = "_file"
_SIZE = re.compile(r"(\d+)\s*(|KiB|MiB|GiB|TiB)", re.IGNORECASE)
_UNITS = {"": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
# Those of the client mean the same for a server that is its own.
_OF_THE_CLIENT = {
    "SYMBL_APP_ID": "app_id",
    "SYMBL_APP_SECRET": "app_secret",
    "SYMBL_APP_SECRET_FILE": "app_secret_file",
}


def _types() -> dict[str, Any]:
    hints = typing.get_type_hints(ServerSettings)
    found = {}
    for field in attrs.fields(ServerSettings):
        options = [option for option in typing.get_args(hints[field.name]) if option is not NoneType]
        found[field.name] = options[0] if NoneType in typing.get_args(hints[field.name]) else hints[field.name]
    return found


_TYPES = _types()


def read_settings(
    flags: Mapping[str, object],
    *,
    environ: Mapping[str, str],
    file: Path | None = None,
    defaults: Mapping[str, object] | None = None,
) -> ServerSettings:
    """Put settings together; reads *file* and the files of secrets.

    Args:
        flags: Given on the command line; ``None`` stands for not given.
        environ: The environment.
        file: A TOML file; ``None`` is the one that ``SYMBL_SERVER_CONFIG`` names, if any.
        defaults: What is used instead of the defaults of :class:`ServerSettings`.

    Raises:
        ConfigurationError: One is unknown or impossible; the text says which, and where it was given.
    """
    if file is None and environ.get(CONFIG_VARIABLE):
        file = Path(environ[CONFIG_VARIABLE])
    values = dict(defaults or {})
    if file is not None:
        values |= _from_file(file)
    values |= _from_environment(environ)
    for name, value in flags.items():
        if value is not None:
            values[name] = _converted(name, value, f"{name.replace('_', '-')} on the command line")
    return ServerSettings(**values)  # type: ignore[arg-type]


def read_pairs(pairs: Iterable[str]) -> dict[str, object]:
    """Read ``NAME=VALUE`` pairs of the command line.

    Raises:
        ConfigurationError: A name is unknown, or a secret.
    """
    found: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise ConfigurationError(f"--set takes NAME=VALUE, not {pair!r}.")
        if name in _SECRETS:
            raise ConfigurationError(
                f"{name} is a secret, and others on this machine can read flags: use {PREFIX}{name.upper()} or "
                f"{PREFIX}{name.upper()}_FILE."
            )
        found[_known(name, "--set", str)] = value
    return found


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    given: dict[str, tuple[str, str]] = {}
    for variable, name in _OF_THE_CLIENT.items():
        if environ.get(variable):
            given[name] = (variable, environ[variable])
    if "app_secret" in given:
        # For the client the plain one wins.
        given.pop("app_secret_file", None)
    own: dict[str, tuple[str, str]] = {}
    for variable, value in environ.items():
        if variable.startswith(PREFIX) and variable != CONFIG_VARIABLE and value:
            name = _known(variable.removeprefix(PREFIX).lower(), variable, lambda name: PREFIX + name.upper())
            own[name] = (variable, value)
    for name in ("app_secret", "app_secret_file"):
        if name in own:
            for other in ("app_secret", "app_secret_file"):
                given.pop(other, None)
    return _read({**given, **own}, Path())


def _from_file(file: Path) -> dict[str, object]:
    try:
        with file.expanduser().open("rb") as stream:
            members = tomllib.load(stream)
    except OSError as exc:
        raise ConfigurationError(f"{file} cannot be read: {exc.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{file} is not TOML: {exc}.") from None
    given = {}
    for key, value in members.items():
        name = _known(key, str(file), str)
        if name in _SECRETS:
            raise ConfigurationError(f"{file}: name a file that holds nothing else in {name}_file instead of {name}.")
        given[name] = (f"{file}: {key}", value)
    return _read(given, file.expanduser().parent)


def _read(given: Mapping[str, tuple[str, object]], folder: Path) -> dict[str, object]:
    """Convert what was given, with where it was; paths are relative to *folder*."""
    values: dict[str, object] = {}
    for name, (where, value) in given.items():
        secret = name.removesuffix(_FILE)
        if name not in _TYPES and secret in _SECRETS:
            if secret in given:
                raise ConfigurationError(f"{where} and {given[secret][0]} exclude each other.")
            values[secret] = _secret(where, folder / _text(where, value))
            continue
        values[name] = _converted(name, value, where)
        if isinstance(values[name], Path):
            values[name] = folder / typing.cast("Path", values[name]).expanduser()
    return values


def _secret(where: str, path: Path) -> str:
    try:
        secret = path.expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{where}: {path} cannot be read: {getattr(exc, 'strerror', 'no text')}.") from None
    if not secret:
        raise ConfigurationError(f"{where}: {path} is empty.")
    return secret


def _known(name: str, where: str, shown: Callable[[str], str]) -> str:
    names = [*_TYPES, *(secret + _FILE for secret in _SECRETS)]
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {shown(near[0])}?" if near else ""
    raise ConfigurationError(f"{where}: there is no setting {name}{hint}")


def _converted(name: str, value: object, where: str) -> object:
    wanted = _TYPES[name]
    try:
        if wanted is bool:
            return value if isinstance(value, bool) else _WORDS[_text(where, value).strip().lower()]
        if wanted in (str, Path):
            return value if isinstance(value, Path) else wanted(_text(where, value))
        if wanted in (int, float):
            return _number(name, value, wanted) if isinstance(value, str) else value
    except (KeyError, ValueError):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}[wanted]
        raise ConfigurationError(f"{where} has to be {kind}, not {value!r}.") from None
    return _several(typing.get_args(wanted)[0], value, where)


def _several(wanted: type, value: object, where: str) -> tuple[object, ...]:
    if isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
        if wanted is not str:
            try:
                value = [wanted(item) for item in value]
            except ValueError:
                raise ConfigurationError(f"{where} has to be numbers with commas between them.") from None
    kinds = (int, float) if wanted is float else wanted
    if isinstance(value, (list, tuple)) and all(isinstance(item, kinds) for item in value):
        return tuple(value)
    raise ConfigurationError(f"{where} has to be a list of {'texts' if wanted is str else 'numbers'}.")


def _number(name: str, text: str, wanted: type[int] | type[float]) -> float:
    if name.endswith("_bytes"):
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            raise ValueError(text)
        return int(match[1]) * _UNITS[match[2].lower()]
    return wanted(text)


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{where} has to be a text.")
    return value
