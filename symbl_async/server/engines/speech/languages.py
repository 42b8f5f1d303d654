"""Language tags as callers write them, and what recognisers make of them."""

from __future__ import annotations

import re

# Older or wider codes for what models list under another one.
_KNOWN_AS = {"iw": "he", "in": "id", "ji": "yi", "nb": "no", "cmn": "zh", "fil": "tl", "jv": "jw", "prs": "fa"}

CLAUSE_ENDS = ("。", "、", "！", "？", "，", "；", "：", ".", "!", "?", "།", "။")  # noqa: RUF001
"""Marks behind which text without blanks is cut."""

_AFTER_CLAUSES = re.compile("(?<=[" + re.escape("".join(CLAUSE_ENDS)) + "])")
_WITHOUT_BLANKS = frozenset({"ja", "zh", "yue", "th", "lo", "my", "km", "bo"})


def language_code(tag: str) -> str:
    """Return the language of the BCP 47 *tag* without its region: ``pt`` of ``pt-BR``; empty if it has none."""
    code = tag.strip().replace("_", "-").split("-")[0].lower()
    return _KNOWN_AS.get(code, code)


def is_spaced(tag: str) -> bool:
    """Tell whether words are written with blanks between them in the language of *tag*."""
    return language_code(tag) not in _WITHOUT_BLANKS


def written_words(text: str, tag: str) -> list[str]:
    """Cut *text* at its blanks; where the language of *tag* writes none, into clauses as well."""
    words = text.split()
    return words if is_spaced(tag) else [part for word in words for part in _AFTER_CLAUSES.split(word) if part]
