"""Sentences: cuts, and words that are never lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from symbl_async.server.engines.language.sentences import split_sentences


def test_sentences_are_cut_at_their_ends() -> None:
    """Abbreviations, times and money do not end a sentence."""
    text = "Dr. Okoye arrives at 3.30 p.m. on Monday. It costs $4.50, doesn't it? Yes!"

    assert split_sentences(text) == ["Dr. Okoye arrives at 3.30 p.m. on Monday.", "It costs $4.50, doesn't it?", "Yes!"]


def test_lines_end_sentences() -> None:
    """A line break is a boundary, and blank lines are nothing."""
    assert split_sentences("first line\n\n second line \r\nthird") == ["first line", "second line", "third"]


def test_short_speech_without_punctuation_stays_whole() -> None:
    """Nothing is cut where nothing shows a boundary."""
    assert split_sentences("so i went to the shop and then i came home") == [
        "so i went to the shop and then i came home"
    ]


def test_long_speech_without_punctuation_is_cut_before_connectives() -> None:
    """A long run is cut where a new clause begins."""
    text = " ".join(["the van came late again this morning with all of the crates and then we had to unload it"] * 3)

    cut = split_sentences(text)

    assert len(cut) > 1
    assert all(piece.startswith("and then we") for piece in cut[1:])
    assert " ".join(cut).split() == text.split()


def test_nothing_gives_nothing() -> None:
    """Empty and blank texts have no sentences."""
    assert split_sentences("") == []
    assert split_sentences(" \n\t ") == []


@given(
    st.text(alphabet=st.sampled_from("ab.?! \n'\"(),:;-1\u2019\u2026A"), max_size=300)
    | st.lists(
        st.sampled_from(
            [
                "so",
                "and",
                "i",
                "we",
                "okay",
                "Mr.",
                "e.g.",
                "yes.",
                "no?",
                "3.5",
                "(a)",
                '"b."',
                "c!",
                "...",
                "www.x.org",
                "été.",
            ]
        ),
        max_size=80,
    ).map(" ".join)
)
def test_no_word_is_lost(text: str) -> None:
    """Joined with blanks, the sentences hold the words of the text in order."""
    assert " ".join(split_sentences(text)).split() == text.split()


def test_very_long_texts_are_cut_in_pieces() -> None:
    """Text beyond what the segmenter gets at once keeps its words and sentences."""
    text = "The crates are heavy. " * 500

    assert split_sentences(text) == ["The crates are heavy."] * 500
