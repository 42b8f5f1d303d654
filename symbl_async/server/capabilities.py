"""Whether recordings can be processed by what is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.util import find_spec

from ..errors import ConfigurationError

# Modules behind the extra, by engine; engines of other packages bring their own.
_DECODING = ("av", "numpy")
_ENGINE_MODULES = {"moonshine": ("moonshine_voice",)}


def media_refusal(speech: str, *, find: Callable[[str], object] = find_spec) -> str | None:
    """Why audio and video have to be refused; ``None`` when they need not be.

    Args:
        speech: The engine, as in the settings: a name, and perhaps a colon and more.
        find: Tells whether a module is there.

    Raises:
        ConfigurationError: No installed package offers that engine.
    """
    engine = speech.partition(":")[0]
    known = sorted({point.name for point in entry_points(group="symbl_async.speech")} | set(_ENGINE_MODULES))
    if engine not in known:
        raise ConfigurationError(f"There is no speech engine {engine!r}; installed are: {', '.join(known)}.")
    if all(find(module) is not None for module in (*_DECODING, *_ENGINE_MODULES.get(engine, ()))):
        return None
    return (
        "This server cannot process audio and video yet, because the packages for speech are not installed: "
        "pip install 'symbl_async[local]' and start it again."
    )
