"""Engines that settings name, found among the entry points of the installed packages.

A setting is ``NAME``, ``NAME:ARGUMENT`` or ``NAME:ARGUMENT?OPTION=VALUE&...``; argument and options are the engine's
own. ``http://host:8000/v1?model=m`` is the engine ``http``, so an address can be given as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from urllib.parse import parse_qsl

from attrs import field, frozen

from ...errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Kind = Literal["speech", "language", "diarization"]
"""What an engine is for; the entry points of a kind are in the group ``symbl_async.KIND``."""


@frozen
class EngineSetting:
    """A setting taken apart.

    Attributes:
        name: The engine's, as its entry point is called.
        argument: What follows the first colon: a folder, an address.
        options: What follows the question mark.
    """

    name: str
    argument: str = ""
    options: Mapping[str, str] = field(factory=dict)

    @classmethod
    def parse(cls, text: str) -> EngineSetting:
        """Take *text* apart.

        Raises:
            ConfigurationError: What follows the question mark is not ``OPTION=VALUE&...``.
        """
        name, _, rest = text.partition(":")
        argument, _, query = rest.partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
        except ValueError:
            raise ConfigurationError(f"{name}: options are written ?OPTION=VALUE&OPTION=VALUE, not ?{query}.") from None
        return cls(name, argument, dict(pairs))

    @property
    def is_remote(self) -> bool:
        """Whether the engine is another program's, behind an address."""
        return self.name in ("http", "https")

    @property
    def url(self) -> str:
        """The address of a remote engine, without the options."""
        return f"{self.name}:{self.argument}"

    @property
    def is_shared(self) -> bool:
        """Whether one process holds the engine's model for all workers: because it is not on the CPU, or on demand."""
        return self.options.get("shared") == "true" or self.options.get("device", "cpu") != "cpu"

    def only(self, *known: str) -> EngineSetting:
        """Return this setting, if it has no other options than those *known*.

        Raises:
            ConfigurationError: It has.
        """
        for option in self.options:
            if option not in known:
                what = ", ".join(known) or "none"
                raise ConfigurationError(f"{self.name}: there is no option {option!r}; known are: {what}.")
        return self


@frozen
class OutsideRequest:
    """A POST to the address that the setting of an engine names.

    Attributes:
        path: Below that address, beginning with a slash.
        content_type: Of the body.
    """

    path: str
    content_type: str
    body: bytes


@frozen
class OutsideReply:
    """What came of it.

    Attributes:
        status: HTTP status; 0 where there was no answer.
        reason: Without an answer: why, in words.
    """

    status: int
    body: bytes = b""
    reason: str = ""


class Outside(Protocol):
    """The way out of a worker, which has no network: its server passes requests on to the configured address.

    Retries after failures of the network and answers 429 and 5xx have been made when a reply comes.
    """

    def post(self, requests: Sequence[OutsideRequest]) -> Sequence[OutsideReply]:
        """Send *requests*, several at once where the server allows it; one reply for each, in their order."""
        ...


class NowhereError(Exception):
    """An engine without an address asked for something outside."""


class Nowhere:
    """The way out for engines that need none."""

    def post(self, requests: Sequence[OutsideRequest]) -> Sequence[OutsideReply]:
        """Refuse.

        Raises:
            NowhereError: Always.
        """
        raise NowhereError("this engine has no address that it may ask")


def load_engine(kind: Kind, setting: str, outside: Outside | None = None) -> Any:
    """Load the engine of *kind* that *setting* names: its entry point is called with the setting and the way out.

    Raises:
        ConfigurationError: No installed package offers it, or what it needs is missing.
    """
    parsed = EngineSetting.parse(setting)
    points = entry_points(group=f"symbl_async.{kind}")
    if parsed.name not in points.names:
        raise ConfigurationError(unknown_engine(kind, parsed.name, points.names))
    try:
        load = cast("Callable[[EngineSetting, Outside], Any]", points[parsed.name].load())
    except ImportError as error:
        package = getattr(points[parsed.name].dist, "name", "symbl_async")
        ours = package == "symbl_async"
        advice = (
            f"{install_command(parsed.name)}.{fallback(parsed.name)}"
            if ours
            else f"the package {package!r} should say how to install it."
        )
        msg = f"The {kind} engine {parsed.name!r} needs the module {error.name or error}: {advice}"
        raise ConfigurationError(msg) from error
    return load(parsed, outside or Nowhere())


def unknown_engine(kind: Kind, name: str, known: Iterable[str]) -> str:
    """Say that there is no engine *name* among *known*."""
    names = ", ".join(sorted(known)) or "none"
    return f"There is no {kind} engine {name!r}; installed are: {names}."


def install_command(engine: str) -> str:
    """What to type to get what *engine* needs."""
    extra = {"faster-whisper": "whisper", "pocketsphinx": "pocketsphinx"}.get(engine, "local")
    return f"pip install 'symbl_async[{extra}]'"


def fallback(engine: str) -> str:
    """What to do where *engine* cannot be installed: a sentence with a blank before it, or nothing."""
    if engine != "moonshine":
        return ""
    return (
        f" Where moonshine-voice has no wheel for this platform, {install_command('pocketsphinx')} and "
        "--speech pocketsphinx do without it, at the price of far more errors."
    )
