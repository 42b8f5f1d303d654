"""The measurements of quality: that their readers and scorers count right, on inputs small enough to count by hand."""

from __future__ import annotations

import wave
from io import BytesIO

import pytest

from benchmarks.quality.data import media, references
from benchmarks.quality.labelled import labels_of
from benchmarks.quality.normalise import plain
from benchmarks.quality.scores import Counts, count_label, total
from benchmarks.quality.talks import SPLITS, Entity, Talk, Turn, read_talks
from symbl_async.server.engines.base import Insight, Line, Mention, Speaker, Word

TALKS = [talk for name in SPLITS.values() for talk in read_talks(name)]


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("Mr. Smith's ill-disposed; OK?", "mister smith's ill disposed okay"),
        ("a 10% discount, and 25 more", "a ten percent discount and 25 more"),
        ("Good bye! Log in.", "goodbye login"),
        ("the dialog in question", "the dialog in question"),
    ],
)
def test_spelling_that_is_compared(written: str, compared: str) -> None:
    """Case, marks and known ways of writing are levelled, nothing else."""
    assert plain(written) == compared


def test_counts_give_precision_recall_and_f1() -> None:
    """Of four true ones three are found, beside one that is wrong."""
    counts = total(count_label(true, found, "a") for true, found in zip("aaaan", "aaana", strict=True))
    assert counts == Counts(3, 4, 4)
    assert (counts.precision, counts.recall, counts.f1) == (0.75, 0.75, 0.75)
    assert (Counts().precision, Counts().recall, Counts().f1) == (0.0, 0.0, 0.0)


def test_labels_that_count_as_one() -> None:
    """An action item that is taken for a follow-up is right where both are one label."""
    assert count_label("a", "f", "af") == Counts(1, 1, 1)
    assert count_label("a", "f", "f") == Counts(0, 1, 0)


def test_counts_agree_with_scikit_learn() -> None:
    """What is counted here is what a scorer that others use counts."""
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = list("aaqqqnnnaf"), list("anqqnnqaaf")
    for label in "aqf":
        counts = total(count_label(one, other, label) for one, other in zip(true, found, strict=True))
        theirs = metrics.precision_recall_fscore_support(true, found, labels=[label])[:3]
        assert (counts.precision, counts.recall, counts.f1) == pytest.approx([float(each[0]) for each in theirs])


def test_first_insight_of_a_line_decides() -> None:
    """A line that holds several counts once."""
    insights = [Insight("follow_up", "", 1, 0.9), Insight("question", "", 1, 0.9)]
    assert labels_of(insights, 3) == ["n", "f", "n"]


def test_every_reference_has_its_recording() -> None:
    """What is said is known of shipped files only."""
    endings = (".wav", ".flac", ".mp3")
    for name in references():
        assert any(_is_there(f"{name}{ending}") for ending in endings), name


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.id)
def test_labelled_conversations_are_well_formed(talk: Talk) -> None:
    """Labels are known, entities stand in their turn, trackers point at turns, tasks alone have somebody and a time."""
    assert {turn.label for turn in talk.turns} <= set("afqn")
    for turn in talk.turns:
        assert all(entity.text in turn.text for entity in turn.entities), turn
        assert turn.label in "af" or (turn.assignee is None and turn.due is None), turn
    assert all(0 <= index < len(talk.turns) for tracker in talk.trackers for index in tracker.turns)
    assert talk.topics
    assert talk.summary


def test_no_conversation_is_in_both_splits() -> None:
    """What is held out is nothing that rules are tuned on."""
    texts = [{turn.text.lower() for talk in read_talks(name) for turn in talk.turns} for name in SPLITS.values()]
    shared = texts[0] & texts[1]
    assert {text for text in shared if len(text.split()) > 4} == set()
    assert len({talk.id for talk in TALKS}) == len(TALKS)


def test_wrong_words_belong_to_their_utterance() -> None:
    """An added word counts where it was added, a lost utterance as a whole."""
    pytest.importorskip("scipy")
    from benchmarks.quality import words

    said = ["Good morning.", "The new plan works", "Bye"]
    assert words.errors_by_unit(said, "good morning the new the plan walks bye") == [(0, 2), (2, 4), (0, 1)]
    assert words.errors_by_unit(said, "") == [(2, 2), (4, 4), (1, 1)]
    assert words.errors_by_unit(["one"], "one two three") == [(2, 1)]


def test_word_times_are_compared_where_words_match() -> None:
    """A word that was misheard has no distance, nor has what is only the second part of a written word."""
    pytest.importorskip("scipy")
    from benchmarks.quality import word_times

    line = Line("", 0, 2, words=(Word("The", 0.1, 0.2), Word("plan", 0.5, 0.9), Word("10%", 1.0, 1.5)))
    reference = [(0.0, "the"), (0.3, "plane"), (1.2, "ten"), (1.3, "percent")]
    assert word_times.distances(reference, word_times.starts([line])) == pytest.approx([0.1, 0.2])
    assert word_times.distances(reference, []) == []


def test_word_times_are_of_known_recordings_and_in_order() -> None:
    """The reference of times fits that of words."""
    pytest.importorskip("scipy")
    from benchmarks.quality import word_times

    for name, words in word_times.read_reference().items():
        assert [start for start, _ in words] == sorted(start for start, _ in words)
        assert {word for _, word in words} <= set(plain(references()[name]).split())


def test_telephone_sound_is_of_a_telephone() -> None:
    """8,000 mu-law samples a second, one channel, of the same length."""
    from benchmarks.quality import hearing

    data = hearing.as_telephone("librivox_sense_0880.wav")
    assert data[:4] == b"RIFF"
    kind, channels, rate = (int.from_bytes(data[at : at + size], "little") for at, size in ((20, 2), (22, 2), (24, 4)))
    assert (kind, channels, rate) == (7, 1, 8000)
    with wave.open(BytesIO(media("librivox_sense_0880.wav").read_bytes())) as original:
        assert len(data) == pytest.approx(original.getnframes() / 2, rel=0.01)


def test_intervals_hold_the_figure_and_repeat() -> None:
    """Same data, same interval; all right leaves room below, and one unit says nothing of others."""
    pytest.importorskip("scipy")
    from benchmarks.quality import intervals

    found = intervals.ratio([1, 0, 1, 1, 0, 1], [1] * 6)
    assert found == intervals.ratio([1, 0, 1, 1, 0, 1], [1] * 6)
    assert found.value == pytest.approx(4 / 6)
    assert found.low < found.value < found.high
    assert found.items == 6
    perfect = intervals.ratio([1] * 10, [1] * 10)
    assert (perfect.value, perfect.high) == (1.0, pytest.approx(1.0))
    assert 0.6 < perfect.low < 0.8
    assert intervals.ratio([3], [4]).low is None
    assert intervals.ratio([0], [0]).items == 0
    assert intervals.pooled([[1.0, 2.0], [3.0]], max).value == 3.0


def test_entities_are_found_once_each() -> None:
    """The same words twice are two places; a part of an entity overlaps it but is not it."""
    pytest.importorskip("rouge_score")
    from benchmarks.quality import conversations

    text = "Ann met Ann Lee on Monday"
    entities = (Entity("person", "Ann"), Entity("person", "Ann Lee"), Entity("date", "Monday"))
    mentions = (Mention("person", "Ann", 0), Mention("person", "Ann", 8), Mention("time", "Monday", 19))
    kinds = ("person", "date")
    assert conversations.count_spans(text, entities, mentions, kinds, conversations.same) == Counts(1, 2, 3)
    assert conversations.count_spans(text, entities, mentions, kinds, conversations.overlapping) == Counts(2, 2, 3)


def test_who_and_when_are_compared_as_far_as_they_are_said() -> None:
    """First names, days, and minutes only where an hour is said."""
    pytest.importorskip("rouge_score")
    from benchmarks.quality import conversations

    turn = Turn("Tom", "", "a", "Maria", "2026-03-06")
    found = Insight("action_item", "", 0, 0.9, assignee=Speaker("maria lopez"), due="2026-03-06T17:00:00")
    assert conversations.same_assignee(turn, found)
    assert conversations.same_due(turn, found)
    assert not conversations.same_due(Turn("Tom", "", "a", due="2026-03-06T15:00"), found)
    nobody = Insight("action_item", "", 0, 0.9)
    assert conversations.same_assignee(Turn("Tom", "", "a"), nobody)
    assert not conversations.same_due(turn, nobody)


def test_topics_are_alike_by_half_of_their_words() -> None:
    """Function words and endings do not count."""
    pytest.importorskip("rouge_score")
    from benchmarks.quality import conversations

    budget = conversations.topic_words("the annual budget")
    assert conversations.alike(budget, conversations.topic_words("budgets"))
    assert not conversations.alike(budget, conversations.topic_words("annual leave plan"))
    assert not conversations.alike(frozenset(), frozenset())


def test_calibration_error_by_hand() -> None:
    """Ten findings at 0.9 of which eight are right are off by 0.1; a score of one has its place."""
    pytest.importorskip("scipy")
    from benchmarks.quality import calibration

    findings = [(0.9, True)] * 8 + [(0.9, False)] * 2
    assert calibration.calibration_error(findings) == pytest.approx(0.1)
    assert calibration.calibration_error([*findings, *[(0.6, True)] * 10]) == pytest.approx(0.25)
    assert sorted(calibration.by_score([(1.0, True), (0.7, True)])) == [7, 9]


def test_bands_are_those_of_the_contract() -> None:
    """The edges are neutral."""
    pytest.importorskip("scipy")
    from benchmarks.quality import sentiment

    assert [sentiment.band_of(score) for score in (-0.31, -0.3, 0.3, 0.31)] == [
        "negative",
        "neutral",
        "neutral",
        "positive",
    ]


def test_speakers_are_compared_by_the_best_pairing() -> None:
    """Other names are no error; a second with the wrong speaker is, but for what is close to a change."""
    pytest.importorskip("pyannote.metrics")
    from benchmarks.quality import speakers

    said = [speakers.Spoken("Ann", 0.0, 5.0), speakers.Spoken("Ben", 5.0, 10.0)]
    heard = [speakers.Spoken("Speaker 1", 0.0, 6.0), speakers.Spoken("Speaker 2", 6.0, 9.0)]
    found = speakers.errors(said, heard, 0.0)
    assert (found.speech, found.missed, found.false_alarm, found.confusion) == pytest.approx((10, 1, 0, 1))
    assert speakers.errors(said, heard, 0.25).confusion == pytest.approx(0.75)
    assert speakers.errors(said, [], 0.0).missed == pytest.approx(10)


def test_words_of_one_speaker_make_a_stretch() -> None:
    """Short pauses are inside, long ones and other speakers are not."""
    pytest.importorskip("pyannote.metrics")
    from benchmarks.quality import speakers

    words = (Word("so", 0.0, 0.4), Word("yes", 0.6, 1.0), Word("well", 2.0, 2.5))
    lines = [Line("", 0.0, 2.5, Speaker("A"), words), Line("", 2.6, 3.0, Speaker("B"))]
    assert [(each.speaker, each.start, each.end) for each in speakers.spoken(lines)] == [
        ("A", 0.0, 1.0),
        ("A", 2.0, 2.5),
        ("B", 2.6, 3.0),
    ]


def _is_there(name: str) -> bool:
    try:
        return media(name).is_file()
    except FileNotFoundError:
        return False
