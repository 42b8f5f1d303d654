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

from .analytics import MemberAnalytics, OverlappingMember
from .conversation import Phrase, Sentiment, Speaker
from .insights import ActionItem, DetectedEntity, DetectedTracker, EntityMatch, FollowUp, Insight
from .tracker import SavedTracker

T = TypeVar("T")
Structure = Callable[[Any, Any], T]

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


# What differs between the generations, or from the rest, is put into the one form before a model is made of it. What
# has no attribute stays in `extra` as it came. Values that are no objects are passed on and refused there.


def _read_speaker(value: Any, structure: Structure[Speaker]) -> Speaker | None:
    if isinstance(value, Mapping) and not any(item is not None for item in value.values()):
        return None  # an empty object is how the service spells "unknown"
    return structure(_with_email(value), Speaker)


def _with_email(value: Any) -> Any:
    """Take a user id that looks like an e-mail address for one."""
    user_id = value.get("userId") if isinstance(value, Mapping) else None
    if isinstance(user_id, str) and "@" in user_id and value.get("email") is None:
        return {**value, "email": user_id}
    return value


def _with_score(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("polarity"), Mapping):
        return {**value, "score": value["polarity"].get("score")}
    return value


def _with_text(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


def _with_message_ids(value: Any) -> Any:
    """Read the ids from references, which comprehensive action items have in their place."""
    refs = value.get("messageRefs") if isinstance(value, Mapping) else None
    if isinstance(refs, list) and value.get("messageIds") is None:
        return {**value, "messageIds": [ref["id"] for ref in refs if isinstance(ref, Mapping) and "id" in ref]}
    return value


def _with_detected_value(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("detectedValue") is None and "value" in value:
        return {**value, "detectedValue": value["value"]}
    return value


def _in_both_forms(value: Any) -> Any:
    """Give an entity of the earlier form its match, and one of the later form its text and messages."""
    if not isinstance(value, Mapping):
        return value
    matches, refs = value.get("matches"), value.get("messageRefs")
    if matches is None:
        return {**value, "matches": [{"detectedValue": value.get("text"), "messageRefs": refs}] if refs else []}
    if not isinstance(matches, list) or not all(isinstance(match, Mapping) for match in matches):
        return value
    value = dict(value)
    if refs is None:
        lists = [match.get("messageRefs") or [] for match in matches]
        value["messageRefs"] = [ref for one in lists if isinstance(one, list) for ref in one]
    if value.get("text") is None and matches:
        value["text"] = _with_detected_value(matches[0]).get("detectedValue")
    return value


def _with_matches(value: Any) -> Any:
    """Take a bare match for a tracker with that match."""
    if not isinstance(value, Mapping) or value.get("matches") is not None:
        return value
    if "messageRefs" not in value and "insightRefs" not in value:
        return value
    return {**{name: value[name] for name in ("id", "name") if name in value}, "matches": [value]}


def _read_saved(value: Any, structure: Structure[SavedTracker]) -> SavedTracker:
    """Keep times in forms of a service's own as they are: no source says which there are."""
    if not isinstance(value, Mapping):
        return structure(value, SavedTracker)
    odd = {name: value[name] for name in ("createdOn", "updatedOn") if name in value and not _is_instant(value[name])}
    saved = structure({name: item for name, item in value.items() if name not in odd}, SavedTracker)
    return attrs.evolve(saved, extra={**saved.extra, **odd}) if odd else saved


def _is_instant(value: object) -> bool:
    try:
        read_instant(value)
    except (TypeError, ValueError):
        return value is None
    return True


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


_PREPARED: Mapping[type, Callable[[Any], Any]] = {
    ActionItem: _with_message_ids,
    DetectedEntity: _in_both_forms,
    DetectedTracker: _with_matches,
    EntityMatch: _with_detected_value,
    FollowUp: _with_message_ids,
    Insight: _with_message_ids,
    MemberAnalytics: _with_email,
    OverlappingMember: _with_email,
    Phrase: _with_text,
    Sentiment: _with_score,
}


def _prepared(cls: type, prepare: Callable[[Any], Any], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    model = _model_hook(cls, converter)
    return lambda value, _: model(prepare(value), cls)


def _make() -> cattrs.Converter:
    converter = cattrs.Converter(prefer_attrib_converters=True)
    converter.register_structure_hook(datetime, read_instant)
    converter.register_structure_hook(str, read_text)
    converter.register_structure_hook_func(
        lambda t: t == Mapping[str, object], lambda value, _: dict(_expect_mapping(value))
    )
    converter.register_structure_hook_func(lambda t: t is object, lambda value, _: value)
    converter.register_structure_hook_factory(attrs.has, lambda cls: _model_hook(cls, converter))
    for cls, prepare in _PREPARED.items():
        converter.register_structure_hook(cls, _prepared(cls, prepare, converter))
    speaker, saved = _model_hook(Speaker, converter), _model_hook(SavedTracker, converter)
    converter.register_structure_hook(Speaker, lambda value, _: _read_speaker(value, speaker))
    converter.register_structure_hook(SavedTracker, lambda value, _: _read_saved(value, saved))
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
