"""Subjects of a conversation: noun phrases ranked by how often, how widely and how specifically they are said."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from typing import Final

from ..base import Topic
from .inflections import PAST
from .lexicon import (
    ACTION_VERBS,
    ADVERBS,
    AUXILIARIES,
    BE,
    CONJUNCTIONS,
    DETERMINERS,
    FILLERS,
    FIRST_NAMES,
    INDEFINITES,
    MODALS,
    NUMBERS,
    OBJECT_PRONOUNS,
    PERSONAL,
    PREPOSITIONS,
    TIME_WORDS,
    UNPLANNED_VERBS,
    WH,
    words,
)
from .tokens import Token, norm_at, tokenize

_LONGEST: Final = 3
_MOST: Final = 20
_SHARE_OF_PARENT: Final = 0.6
"""More than this part of a topic's lines lies at lines of its parent."""
_CONSIDERED: Final = 400
"""Candidates compared with each other; the comparison grows with their square."""

_STOP: Final = (
    (
        DETERMINERS
        | PERSONAL
        | OBJECT_PRONOUNS
        | INDEFINITES
        | AUXILIARIES
        | WH
        | PREPOSITIONS
        | CONJUNCTIONS
        | FILLERS
        | ADVERBS
        | NUMBERS
    )
    | (TIME_WORDS - words("quarter lunch"))
    | words(
        "not been being be am 's us let please thank thanks goodbye bye welcome sir madam mr mrs ms dr doctor hour"
        " thing things stuff lot lots kind sort bit way ways everyone guy guys somebody none same own other others"
        " such very much too quite rather really only even just yet still already often always never sometimes"
        " usually maybe perhaps however although done gone got getting going gonna wanna has having doing did"
        " yesterday ago early late earlier course fact example point question answer idea reason problem yeah talk"
        " morning afternoon evening half full able sure ready happy glad afraid aware there here where everywhere"
        " somewhere anywhere back away soon ten thirty percent per cent about almost enough around roughly exactly"
        " certain possible impossible likely myself yourself himself herself itself ourselves themselves sounds"
        " sound mine yours ours theirs hers um uh instead else ever pretty second seconds"
    )
)
_PLAIN_ADJECTIVES: Final = words(
    "good great bad nice fine wonderful terrible awful excellent perfect new old big small large little high low"
    " long short longer shorter higher lower bigger smaller better worse best worst different important interesting"
    " easy hard difficult simple frustrating frustrated amazing lovely real whole main major minor nearest latest"
    " next previous last first second third final extra additional available broken wrong right correct clear quick"
    " slow fast strong weak cheap expensive young early late busy free common similar specific particular certain"
    " special open closed overall general recent current annual weekly daily monthly quarterly worth several"
    " various many few more most less least fewer further own total left missing angry upset sorry curious"
    " interested worried excited proud pleased tired safe dangerous"
)
_VERBS: Final = (ACTION_VERBS | UNPLANNED_VERBS) | words(
    "say tell ask think know want need use try call work give take make get go come see look find keep let begin"
    " seem help show hear play run move live believe bring happen write provide sit stand lose pay meet include"
    " continue set learn change lead understand watch follow stop create speak read allow add spend grow open walk"
    " win offer remember consider appear buy wait serve die send expect build stay fall cut reach kill remain"
    " suggest raise pass sell require report decide pull discuss join hope solve share"
)
_NOUN_TOO: Final = words(
    "test review release support contract discount budget plan report email call ticket design order invoice"
    " update upgrade access demo deal offer price cost delivery delay repair return refund charge payment quote"
    " balance transfer claim visit request schedule scope survey target team staff stock store supply tag text"
    " track trade train travel trial water work process product project program feature file fund hand handle heat"
    " host house import export increase index interview issue label launch lead lease limit link list load lock log"
    " mail map mark market measure merge message model monitor name network note number pack package page paint"
    " park part patch permit phone photo pilot place plug post press print record relay rent repeat reply reserve"
    " reset result rise risk roll route sample sale sales scan screen seal search seat sensor service set shift"
    " ship shop show sign signal size sketch slide sort sound source space split sponsor stage stamp start step"
    " stop structure study switch sync table talk task tender title tool topic touch transport trip truck type use"
    " value vote warehouse warranty waste watch web weight window wire wiring word world wrap battery benefit bid"
    " bill block board book break bridge brief bug camera campaign card case cash chair chart check class click"
    " client clip code comment complaint concern conduct contact content control copy credit crew cut data date"
    " debug deck default demand deposit detail document door download draft drive drop exchange experience"
    " experiment figure fill filter finance fit fix flag flight floor flow focus form format frame gift grant group"
    " guide hire iron key play layout meeting memory metric mix mortgage move panel pause pitch plot point policy"
    " practice present procedure profile prompt prototype pump purchase push query race range rate reach read"
    " refill register research respect rest reward ring run sand save score script section select share sense view"
    " wash gain fear forecast"
)
_VERB_BEFORE: Final = PERSONAL | MODALS | words("to not please us who let never also then")


def find_topics(texts: Sequence[str], *, names: frozenset[str] = frozenset()) -> tuple[Topic, ...]:
    """Return the topics of *texts*, best first; a topic's lines are indexes into *texts*.

    A short call has at most ten; the number grows with the logarithm of the length.

    Args:
        texts: One text per line of the conversation.
        names: First names of the people in the conversation, in lower case; they are no topics.
    """
    phrases = _Phrases()
    for line, text in enumerate(texts):
        for run in _runs(tokenize(text), names):
            phrases.add(run, line)
    ranked = phrases.ranked()
    if not ranked:
        return ()
    most = min(_MOST, 3 + round(1.6 * math.log2(1 + len(texts))))
    best = ranked[0][1]
    topics: list[Topic] = []
    for key, score in ranked[:most]:
        lines = phrases.lines_about(key)
        parent = _parent(lines, topics)
        parents = () if parent is None else (parent.text,)
        topics.append(Topic(phrases.spelling(key), round(score / best * 0.95, 3), tuple(sorted(lines)), parents))
    return tuple(topics)


def _parent(lines: Set[int], weightier: Sequence[Topic]) -> Topic | None:
    """The topic that one about *lines* belongs to: most of it is said where the other, wider one is talked of."""
    best: Topic | None = None
    most = 0.0
    for topic in weightier:
        if len(topic.lines) <= len(lines):
            continue
        near = {line + step for line in topic.lines for step in (-1, 0, 1)}
        share = len(lines & near) / len(lines)
        if share > max(most, _SHARE_OF_PARENT):
            best, most = topic, share
    return best


class _Phrases:
    """Counts of words and of word sequences, by line."""

    def __init__(self) -> None:
        self._words: Counter[str] = Counter()
        self._word_lines: defaultdict[str, set[int]] = defaultdict(set)
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._whole: Counter[tuple[str, ...]] = Counter()
        self._alone: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
        self._lines: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
        self._spellings: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)

    def add(self, run: Sequence[tuple[str, str]], line: int) -> None:
        """Count a run of content words, given as (stem, spelling)."""
        for stem, _ in run:
            self._words[stem] += 1
            self._word_lines[stem].add(line)
        if all(spelling.lower() in _PLAIN_ADJECTIVES for _, spelling in run[:-1]):
            self._alone[(run[-1][0],)].add(line)
        for size in range(1, min(_LONGEST, len(run)) + 1):
            for start in range(len(run) - size + 1):
                part = run[start : start + size]
                key = tuple(stem for stem, _ in part)
                if size > 1 and part[0][1].lower() in _PLAIN_ADJECTIVES:
                    continue
                if part[-1][1].lower() in _PLAIN_ADJECTIVES:
                    continue
                self._counts[key] += 1
                self._lines[key].add(line)
                self._spellings[key][" ".join(spelling for _, spelling in part)] += 1
                # A part of a longer run says less than a run that stands alone.
                if start + size == len(run):
                    self._whole[key] += 1

    def spelling(self, key: tuple[str, ...]) -> str:
        """The commonest spelling; the first one said, among equals."""
        return self._spellings[key].most_common(1)[0][0]

    def lines_about(self, key: tuple[str, ...]) -> set[int]:
        """Lines with the phrase, or with its head alone where that is merged into it."""
        return self._lines[key]

    def _score(self, key: tuple[str, ...]) -> float:
        spread = len(self._lines[key])
        related = sum(len(self._word_lines[stem]) for stem in key) / len(key)
        length = (1.0, 1.55, 1.6)[len(key) - 1]
        whole = 0.4 + 0.6 * self._whole[key] / self._counts[key]
        specific = 1 + 0.02 * min(sum(len(stem) for stem in key), 20)
        return (
            (math.log2(1 + self._counts[key]) + 0.8 * math.log2(spread) + 0.6 * math.log2(1 + related))
            * length
            * whole
            * specific
        )

    def ranked(self) -> list[tuple[tuple[str, ...], float]]:
        """Phrases by falling score, near-duplicates merged into the better one."""
        scored = sorted(
            ((key, self._score(key)) for key in self._counts),
            key=lambda item: (-item[1], min(self._lines[item[0]]), item[0]),
        )
        kept: list[tuple[tuple[str, ...], float]] = []
        for key, score in scored[:_CONSIDERED]:
            twin = next((place for place, (other, _) in enumerate(kept) if self._alike(key, other)), None)
            if twin is None:
                kept.append((key, score))
            else:
                better = kept[twin][0]
                # "That discount" goes on about "the loyalty discount"; "the finance team" not about "the design team".
                if key == better[-1:]:
                    self._lines[better] |= self._alone[key]
        return kept

    def _alike(self, key: tuple[str, ...], other: tuple[str, ...]) -> bool:
        if set(key) <= set(other) or set(other) <= set(key):
            return True
        return len(set(key) & set(other)) > 1


def _runs(tokens: Sequence[Token], names: frozenset[str]) -> Iterator[list[tuple[str, str]]]:
    """Yield the longest sequences of words that can make a noun phrase."""
    run: list[tuple[str, str]] = []
    for index, token in enumerate(tokens):
        if _is_content(tokens, index, names):
            inside = index > 0 and token.capital
            spelling = token.norm.capitalize() if inside and tokens[0].norm != token.norm else token.norm
            run.append((_stem(token.norm), spelling))
            continue
        if run and not (len(run) == 1 and _predicates(tokens, index - 1)):
            yield run
        run = []
    if run and not (len(run) == 1 and _predicates(tokens, len(tokens) - 1)):
        yield run


def _predicates(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether a lone word after "is" says how something is: "the tests are flaky again"."""
    before = index - 1
    while norm_at(tokens, before) in ADVERBS or norm_at(tokens, before) in ("very", "so", "too", "not", "really"):
        before -= 1
    return norm_at(tokens, before) in BE


def _is_content(tokens: Sequence[Token], index: int, names: frozenset[str]) -> bool:
    token = tokens[index]
    word = token.norm
    if (
        token.punctuation
        or len(word) < 3
        or word in _STOP
        or word in names
        or word in FIRST_NAMES
        or any(char.isdigit() for char in word)
    ):
        return False
    if word.endswith("ly") and len(word) > 5 and word not in ("supply", "assembly", "family", "anomaly", "monopoly"):
        return False
    return not _is_verb(tokens, index)


def _is_verb(tokens: Sequence[Token], index: int) -> bool:
    word, before = tokens[index].norm, norm_at(tokens, index - 1)
    base = _verb_base(word)
    if base is None:
        # A participle or an -ing form of a verb that we do not know, where only a verb can stand.
        return before in words("i we they he she") or (
            before in MODALS | {"to"} and norm_at(tokens, index + 1) in DETERMINERS
        )
    if before in _VERB_BEFORE or (before == "you" and base):
        return True
    if word.endswith(("ing", "ed")) and word not in (
        "marketing",
        "engineering",
        "training",
        "meeting",
        "building",
        "pricing",
        "billing",
    ):
        # "the revised proposal", "a broken screen": what stands in front of a noun describes it.
        return not (
            before in DETERMINERS and norm_at(tokens, index + 1).isalpha() and norm_at(tokens, index + 1) not in _STOP
        )
    if base in _NOUN_TOO:
        modified = before in DETERMINERS or before in PREPOSITIONS or before in _PLAIN_ADJECTIVES
        return not modified and norm_at(tokens, index + 1) in DETERMINERS | OBJECT_PRONOUNS
    return True


def _verb_base(word: str) -> str | None:
    """Return the base form when *word* can be a verb that we know."""
    candidates = [word]
    if word.endswith("ies"):
        candidates.append(word[:-3] + "y")
    if word.endswith("es"):
        candidates.append(word[:-2])
    if word.endswith("s"):
        candidates.append(word[:-1])
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            stem = word[: -len(ending)]
            candidates += [stem, f"{stem}e", stem[:-1]]
            if stem.endswith("i"):
                candidates.append(stem[:-1] + "y")
    return next((base for base in (*candidates, PAST.get(word, "")) if base in _VERBS), None)


def _stem(word: str) -> str:
    """Fold plurals, so that "discounts" counts with "discount"."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
