"""Speech engines behind an address: any service with OpenAI's transcription endpoint, ``http://HOST:PORT/v1?model=M``.

Passages of speech are found here and posted, several at once, as WAV; what comes back is trusted in nothing: shape,
times and lengths are checked. A service that times its words keeps those times; otherwise the words share the time of
their segment, or of the passage, by length. The server posts, since a worker has no network, and knows the key.

Source: the published reference of ``POST /v1/audio/transcriptions``.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import wave
from difflib import SequenceMatcher
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ..base import SAMPLE_RATE, EngineError, Word
from ..plugins import OutsideRequest
from .alignment import fill_gaps, shared
from .batches import recognised
from .detection import detector
from .languages import is_spaced, language_code, written_words
from .remote_setting import LANGUAGE, RemoteSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..base import PCM, Segment, SpeechOptions
    from ..plugins import EngineSetting, Outside, OutsideReply
    from .batches import Detect

_PATH = "/audio/transcriptions"
_VERBOSE = (
    ("response_format", "verbose_json"),
    ("timestamp_granularities[]", "word"),
    ("timestamp_granularities[]", "segment"),
)
_PLAIN = (("response_format", "json"),)
_NOT_IN_THIS_WAY = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)

_PROMPT_CHARACTERS = 600
_LONGEST_TEXT = 10_000
_MOST_WORDS = 2_000
_OVERLAP = 1.0
"""Seconds by which a time may lie outside its passage; services pad what they hear."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]+")


class RemoteEngine:
    """Asks a service. One per process."""

    def __init__(self, setting: RemoteSetting, outside: Outside, detect: Detect) -> None:
        self._setting = setting
        self._outside = outside
        self._detect = detect
        self._times_refused = False

    def supports(self, language: str) -> bool:
        """Tell whether the service may be asked for *language*: without a list of languages it decides itself."""
        code = language_code(language)
        return bool(LANGUAGE.fullmatch(code)) and (not self._setting.languages or code in self._setting.languages)

    def transcribe(self, blocks: Iterable[PCM], options: SpeechOptions) -> Iterator[Segment]:
        """Yield segments in time order while *blocks* are consumed; about a minute and a batch of passages are held.

        Raises:
            EngineError: The language is not one of those configured, or the service gave no usable answer.
        """
        if not self.supports(options.language):
            raise EngineError(
                f"Speech in {options.language} cannot be recognised here; the configured service is not used for it."
            )
        yield from recognised(
            blocks,
            options,
            detect=self._detect,
            recognise=self._recognise,
            batch_size=self._setting.batch_size,
            # A service may be slow, or paid by the second.
            retries=1,
        )

    def _recognise(self, passages: Sequence[PCM], options: SpeechOptions) -> list[list[Word]]:
        verbose = not self._times_refused
        replies = self._outside.post([self._request(passage, options, verbose=verbose) for passage in passages])
        if verbose and any(reply.status in _NOT_IN_THIS_WAY for reply in replies):
            # Some models give no times, and their services refuse to be asked for any.
            plain = self._outside.post([self._request(passage, options, verbose=False) for passage in passages])
            if all(reply.status == HTTPStatus.OK for reply in plain):
                self._times_refused, replies = True, plain
        return [
            _words(_read(reply), len(passage) / SAMPLE_RATE, options.language)
            for passage, reply in zip(passages, replies, strict=True)
        ]

    def _request(self, passage: PCM, options: SpeechOptions, *, verbose: bool) -> OutsideRequest:
        fields = [("model", self._setting.model), ("temperature", "0"), *(_VERBOSE if verbose else _PLAIN)]
        language = self._setting.language
        if language != "auto":
            fields.append(("language", language_code(options.language) if language == "job" else language))
        if prompt := _prompt(options.custom_vocabulary):
            fields.append(("prompt", prompt))
        return _multipart(fields, _wav(passage))


def load(setting: EngineSetting, outside: Outside) -> RemoteEngine:
    """Load the engine.

    Args:
        setting: The base URL of the service; for the options see ``RemoteSetting``.
        outside: The way to it.

    Raises:
        ConfigurationError: An option is wrong, or no voice detector is installed.
    """
    return RemoteEngine(RemoteSetting.of(setting), outside, detector())


def _prompt(phrases: Sequence[str]) -> str:
    """Join the first of *phrases* that have room: services read about two hundred tokens."""
    text = ""
    for phrase in phrases:
        longer = f"{text}, {phrase}" if text else phrase
        if len(longer) > _PROMPT_CHARACTERS:
            break
        text = longer
    # A prompt without a full stop makes models leave out theirs.
    return f"{text}." if text else ""


def _wav(samples: PCM) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes((np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return target.getvalue()


def _multipart(fields: Sequence[tuple[str, str]], recording: bytes) -> OutsideRequest:
    # Nobody can write a text or a recording that holds its own digest.
    boundary = hashlib.sha256(repr(fields).encode() + recording).hexdigest()
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="passage.wav"\r\nContent-Type: audio/wav'
    parts += [f"--{boundary}\r\n{head}\r\n\r\n".encode(), recording, f"\r\n--{boundary}--\r\n".encode()]
    return OutsideRequest(_PATH, f"multipart/form-data; boundary={boundary}", b"".join(parts))


class _TimedText(msgspec.Struct):
    """A word of an answer."""

    word: str
    start: float
    end: float
    probability: float | None = None


class _Stretch(msgspec.Struct):
    """A segment of an answer."""

    text: str
    start: float
    end: float
    words: list[_TimedText] | None = None


class _Transcript(msgspec.Struct):
    """An answer; services that know no times give the text alone."""

    text: str
    segments: list[_Stretch] | None = None
    words: list[_TimedText] | None = None


def _read(reply: OutsideReply) -> _Transcript:
    if reply.status != HTTPStatus.OK:
        raise EngineError(_refusal(reply))
    try:
        transcript = msgspec.json.decode(reply.body, type=_Transcript)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise EngineError(
            "The speech service answered what is no transcript; its address has to be the base URL of an API with "
            f"OpenAI's {_PATH}, such as http://127.0.0.1:8000/v1."
        ) from None
    counts = [len(transcript.words or ()), *(len(each.words or ()) for each in transcript.segments or ())]
    if len(transcript.text) > _LONGEST_TEXT or sum(counts) > _MOST_WORDS:
        raise EngineError("The speech service answered with more text than half a minute of speech can have.")
    return transcript


def _refusal(reply: OutsideReply) -> str:
    """Say what to do about an answer that is none; neither its body nor the key is shown."""
    if not reply.status:
        return f"The speech service gave no answer: {reply.reason or 'nothing is known of why'}."
    advice: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: "set speech_api_key to a key that it takes",
        HTTPStatus.FORBIDDEN: "set speech_api_key to a key that may use it",
        HTTPStatus.NOT_FOUND: "check the address in the setting speech, which ends before /audio, and its model",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "let it take two megabytes at a time",
        HTTPStatus.TOO_MANY_REQUESTS: "it has too much to do, so give it fewer passages at once (batch_size)",
    }
    otherwise = "see its log" if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "check the setting speech"
    return f"The speech service refused a passage with status {reply.status}: {advice.get(reply.status, otherwise)}."


def _words(transcript: _Transcript, duration: float, language: str) -> list[Word]:
    """Give the words of *transcript* in order, within *duration* seconds."""
    segments = [each for each in transcript.segments or () if _texts(each.text, language)]
    # What the segments leave out of the text is in the text alone, and the other way round.
    whole = _texts(transcript.text, language)
    if not _are_times([(each.start, each.end) for each in segments], duration) or whole != [
        text for each in segments for text in _texts(each.text, language)
    ]:
        segments = [_Stretch(transcript.text, 0.0, duration)] if whole else []
    timed = transcript.words or [word for each in transcript.segments or () for word in each.words or ()]
    # Without blanks the words here are clauses, and those of the service are not.
    if not is_spaced(language) or not _are_times([(each.start, each.end) for each in timed], duration):
        timed = []
    found: list[Word] = []
    for segment in segments:
        texts = _texts(segment.text, language)
        low, high = min(max(segment.start, 0.0), duration), min(segment.end, duration)
        found += [Word(text, *time) for text, time in zip(texts, shared(texts, low, max(low, high)), strict=True)]
    return _timed(found, timed, duration, language) if timed else found


def _timed(words: Sequence[Word], timed: Sequence[_TimedText], duration: float, language: str) -> list[Word]:
    """Give *words* the times of those of *timed* that are the same but for case and punctuation."""
    heard = [(text, each) for each in timed for text in _texts(each.word, language)[:1]]
    matcher = SequenceMatcher(None, [_bare(word.text) for word in words], [_bare(text) for text, _ in heard], False)
    known: list[_TimedText | None] = [None] * len(words)
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            known[block.a + offset] = heard[block.b + offset][1]
    edges = [None if each is None else (max(each.start, 0.0), min(each.end, duration)) for each in known]
    times = fill_gaps([word.text for word in words], edges, duration)
    return [
        Word(word.text, low, high, _confidence(each))
        for word, (low, high), each in zip(words, times, known, strict=True)
    ]


def _confidence(word: _TimedText | None) -> float | None:
    chance = None if word is None else word.probability
    return chance if chance is not None and 0.0 <= chance <= 1.0 else None


def _are_times(times: Sequence[tuple[float, float]], duration: float) -> bool:
    """Tell whether *times* are in order and within the passage, or nearly so."""
    last = -_OVERLAP
    for start, end in times:
        if not (math.isfinite(start) and math.isfinite(end) and last <= start <= end <= duration + _OVERLAP):
            return False
        last = start
    return bool(times)


def _texts(text: str, language: str) -> list[str]:
    return written_words(_CONTROL.sub(" ", text), language)


def _bare(text: str) -> str:
    return re.sub(r"[^\w]", "", text).casefold()
