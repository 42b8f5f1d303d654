"""The language half of the embedded server: rules, word lists and small lexicons, no model and no network.

One analysis per file: ``sentences``, ``sentiment``, ``questions``, ``actions``, ``dates``, ``topics``, ``phrases``,
``entities``, ``trackers``, ``summary``, ``themes``, ``retelling``. Below ``entities`` are ``amounts``, ``periods`` and
``places``, below it and ``trackers`` are ``matching`` and ``inflections``.
Below ``actions`` are ``requests``, ``duties``, ``polite``, ``pledges`` and ``needs`` (how it is put), ``actors`` (who
is to act), ``verbs``, ``lightverbs`` and ``followups`` (what is to be done). ``clauses``, ``tokens`` and ``lexicon``
are shared. Everything is synchronous, deterministic and without I/O.
"""

from __future__ import annotations

from .rules import RuleLanguage

__all__ = ["RuleLanguage"]
