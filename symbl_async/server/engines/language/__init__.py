"""The language half of the embedded server: rules, word lists and small lexicons, no model and no network.

One analysis per file: ``sentences``, ``sentiment``, ``questions``, ``actions`` (with ``clauses``, ``actors``, ``verbs``,
``followups``, ``requests`` and ``duties`` below it), ``dates``, ``topics``, ``phrases``; ``tokens`` and ``lexicon`` are shared.
Everything is synchronous, deterministic and without I/O.
"""

from __future__ import annotations

from .rules import RuleLanguage

__all__ = ["RuleLanguage"]
