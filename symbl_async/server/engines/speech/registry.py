"""The speech engine that a setting names, found among the entry points of the installed packages."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from ....errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base import SpeechEngine

GROUP = "symbl_async.speech"


def load_speech(setting: str) -> SpeechEngine:
    """Load the engine that *setting* names: ``name`` or ``name:argument``, where the argument is the engine's own.

    Raises:
        ConfigurationError: No installed package offers it, or what it needs is missing.
    """
    name, _, argument = setting.partition(":")
    points = entry_points(group=GROUP)
    if name not in points.names:
        known = ", ".join(sorted(points.names)) or "none"
        raise ConfigurationError(f"There is no speech engine {name!r}; installed are: {known}.")
    try:
        load = cast("Callable[[str], SpeechEngine]", points[name].load())
    except ImportError as error:
        msg = f"The speech engine {name!r} needs the module {error.name!r}: pip install 'symbl_async[local]'"
        raise ConfigurationError(msg) from error
    return load(argument)
