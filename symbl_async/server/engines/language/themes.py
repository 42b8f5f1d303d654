"""Themes: what a conversation is about on the whole, by word lists. Rough on purpose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from .inflections import stem

_WORD: Final = re.compile(r"[^\W\d_]+")
_LEAST: Final = 2
"""Words of a theme that have to be said, one of them twice or two of them."""

_THEMES: Final = {
    name: frozenset(stem(word) for word in spelled.split())
    for name, spelled in {
        "budget and finance": "budget cost costs expense expenses invoice payment price pricing discount revenue profit"
        " margin forecast tax loan credit debt bank dollars euros funding finance financial salary refund billing",
        "procurement": "vendor supplier contract purchase quote tender procurement order negotiation paperwork supply",
        "logistics planning": "warehouse shipment shipping delivery deliver truck freight inventory stock logistics"
        " rollout transport route scanner pallet courier depot",
        "scheduling": "schedule calendar meeting appointment reschedule availability slot agenda deadline postpone",
        "project planning": "project milestone deadline roadmap scope deliverable sprint backlog timeline phase launch"
        " rollout plan priority",
        "software development": "code software bug deploy deployment release api database server frontend backend"
        " repository test tests feature build branch login app",
        "product design": "design prototype mockup sketch usability interface layout color colour button remote"
        " material shape ergonomic",
        "customer support": "customer ticket complaint support issue refund replacement warranty broken helpdesk"
        " escalation escalate troubleshoot account",
        "sales": "sales deal lead pipeline prospect demo quota discount proposal renewal client pitch offer"
        " subscription",
        "marketing": "marketing campaign brand advertising audience newsletter social content promotion slogan survey",
        "hiring and staff": "hire hiring candidate interview recruit recruiter resume onboarding staff employee salary"
        " vacancy team training",
        "legal and compliance": "legal lawyer contract clause compliance regulation policy audit liability privacy gdpr"
        " license licence consent",
        "information security": "security password breach encryption phishing firewall vulnerability access token"
        " permission incident",
        "health": "doctor patient hospital clinic symptom medicine medication treatment pain prescription nurse health"
        " therapy appointment",
        "travel": "flight hotel airport booking trip ticket passport visa luggage train travel reservation",
        "education": "student teacher school class course lesson exam homework university lecture teach",
        "data and reporting": "data report dashboard chart metric metrics analysis analytics spreadsheet"
        " statistics kpi",
    }.items()
}


@frozen
class Theme:
    """A theme; *share* is the part of the conversation's words that is said in lines about it."""

    text: str
    share: float
    lines: tuple[int, ...]


def find_themes(texts: Sequence[str]) -> tuple[Theme, ...]:
    """Return the themes of *texts*, the widest first."""
    spoken = [[stem(match.group().lower()) for match in _WORD.finditer(text)] for text in texts]
    total = sum(len(line) for line in spoken)
    found = []
    for name, vocabulary in _THEMES.items():
        hits = [(index, sum(word in vocabulary for word in line)) for index, line in enumerate(spoken)]
        lines = tuple(index for index, count in hits if count)
        if sum(count for _, count in hits) >= _LEAST:
            share = sum(len(spoken[index]) for index in lines) / total
            found.append(Theme(name, round(share, 4), lines))
    return tuple(sorted(found, key=lambda theme: (-theme.share, theme.text)))
