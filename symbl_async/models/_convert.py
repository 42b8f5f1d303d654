"""The one converter between the wire and the models: camelCase, instants, unknown members, both wire generations.

Reading is liberal: every member may be missing, ``null`` means missing, ids may be numbers, unknown members are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, get_origin, get_type_hints

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from .conversation import Phrase, Sentiment, Speaker

T = TypeVar("T")

_IRREGULAR = {"speaker": "from"}


def camel(name: str) -> str:
    """Return the wire name of the attribute *name*: ``message_ids`` -> ``messageIds``."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def read_instant(value: object, _: object = None) -> datetime:
    """Read an RFC 3339 instant with any number of fraction digits; one without zone counts as UTC."""
    if not isinstance(value, str):
        raise TypeError(f"an instant must be a text, not {type(value).__name__}")
    instant = datetime.fromisoformat(value)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def read_text(value: object, _: object = None) -> str:
    """Read a text or an id; ids turn up as JSON numbers too."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"expected a text, not {type(value).__name__}")


def _read_speaker(value: object, structure: Callable[[Any, Any], Speaker]) -> Speaker | None:
    if not isinstance(value, Mapping):
        raise TypeError(f"a speaker must be an object, not {type(value).__name__}")
    if not any(item is not None for item in value.values()):
        return None  # an empty object is how the service spells "unknown"
    user_id = value.get("userId")
    if value.get("email") is None and isinstance(user_id, str) and "@" in user_id:
        value = {**value, "email": user_id}
    return structure(value, Speaker)


def _read_sentiment(value: object, structure: Callable[[Any, Any], Sentiment]) -> Sentiment:
    if isinstance(value, Mapping) and isinstance(value.get("polarity"), Mapping):
        value = {**value, "score": value["polarity"].get("score")}
    return structure(value, Sentiment)


def _model_hook(cls: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Structure one attrs class: renamed members, ``null`` dropped, the rest kept in ``extra``."""
    names = {a.name: _IRREGULAR.get(a.name, camel(a.name)) for a in attrs.fields(cls) if a.name != "extra"}
    known = frozenset(names.values())
    renames = {name: override(rename=wire) for name, wire in names.items()}
    lists = frozenset(names[name] for name, hint in get_type_hints(cls).items() if get_origin(hint) is tuple)
    inner = make_dict_structure_fn(cls, converter, extra=override(omit=False), **renames)  # type: ignore[arg-type]

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected an object, not {type(value).__name__}")
        present = {key: item for key, item in value.items() if item is not None}
        for key in lists & present.keys():
            if not isinstance(present[key], list):  # a text would pass as a list of its letters
                raise TypeError(f"{key} must be a list, not {type(present[key]).__name__}")
        kept = {key: item for key, item in present.items() if key not in known}
        return inner({**{k: v for k, v in present.items() if k in known}, "extra": kept}, cls)

    return structure


def _make() -> cattrs.Converter:
    converter = cattrs.Converter(prefer_attrib_converters=True)
    converter.register_structure_hook(datetime, read_instant)
    converter.register_structure_hook(str, read_text)
    converter.register_structure_hook_func(
        lambda t: t == Mapping[str, object], lambda value, _: dict(_expect_mapping(value))
    )
    converter.register_structure_hook_func(lambda t: t is object, lambda value, _: value)
    converter.register_structure_hook_factory(attrs.has, lambda cls: _model_hook(cls, converter))
    speaker = _model_hook(Speaker, converter)
    converter.register_structure_hook(Speaker, lambda value, _: _read_speaker(value, speaker))
    sentiment = _model_hook(Sentiment, converter)
    converter.register_structure_hook(Sentiment, lambda value, _: _read_sentiment(value, sentiment))
    phrase = _model_hook(Phrase, converter)
    converter.register_structure_hook(
        Phrase, lambda value, _: Phrase(value) if isinstance(value, str) else phrase(value, Phrase)
    )
    return converter


def _expect_mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object, not {type(value).__name__}")
    return value


_converter = _make()


def structure(value: object, cls: type[T]) -> T:
    """Turn decoded JSON into *cls*.

    Raises:
        ValueError: The value does not fit; the text names the place.
    """
    try:
        return _converter.structure(value, cls)
    except cattrs.BaseValidationError as error:
        raise ValueError("; ".join(cattrs.transform_error(error))) from None
    except (TypeError, ValueError) as error:
        raise ValueError(str(error)) from None
