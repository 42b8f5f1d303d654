"""Planted secrets turn up nowhere: no log, repr, text of an error, file of a run, or request to another host."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import anyio
import pytest
from peers import ACCEPTED, CONVERSATION, JOB, Script, answer, close, early, peer, raw, reset
from support import chain, everything_said, media

from symbl_async import (
    AudioSubmission,
    InvalidInputError,
    Polling,
    Retry,
    SymblClient,
    SymblError,
    TextSubmission,
    Timeouts,
    VideoSubmission,
)

SECRET = "canary-app-secret-8d1f"
TOKEN = "canary-token-77c0"
SIGNATURE = "canary-signature-4be2"
HOOK = "canary-hook-19aa"
WORDS = "canary-words-c3d4"
CANARIES = (SECRET, TOKEN, SIGNATURE, HOOK, WORDS)

URL = f"https://media.example/talk.mp3?sig={SIGNATURE}"
HOOK_URL = f"https://hooks.example/{HOOK}"

FAULTS: dict[str, Script] = {
    "taken": answer(201, ACCEPTED),
    "refused": answer(413, {"message": "too large"}),
    "forbidden": answer(403),
    "unauthorized": answer(401),
    "full for a moment": answer(429, {"message": "full"}, ("Retry-After", "0")),
    "failing": answer(502, b"<html>"),
    "cut before the answer": close(),
    "reset in the middle": reset(100),
    "early": early(415, 10, {"message": "no"}),
    "no HTTP": raw(b"what do you want\r\n\r\n"),
    "half an answer": raw(b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"),
    "no ids": answer(201, {"ok": True}),
}


def sources(folder: Path) -> list[Any]:
    """An input of each kind, each with a secret in it."""
    path = media(folder)
    path.write_bytes(path.read_bytes() + WORDS.encode())
    return [
        path,
        AudioSubmission(path.read_bytes(), webhook_url=HOOK_URL),
        AudioSubmission(URL),
        VideoSubmission(f"https://media.example/film.mp4?sig={SIGNATURE}", webhook_url=HOOK_URL),
        TextSubmission(f"{WORDS} and more.", webhook_url=HOOK_URL),
        [f"{WORDS} once more."],
        TextSubmission(WORDS, append_to=CONVERSATION),
    ]


def assert_clean(text: str, where: str) -> None:
    """Fail if a canary is in *text*, without showing more than which one."""
    found = [canary for canary in CANARIES if canary in text]
    assert not found, f"{found} in {where}"


@pytest.mark.parametrize("fault", [*FAULTS, "redirecting"])
async def test_secrets_stay_where_they_belong(tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """A batch of all kinds of inputs, with a journal, against a server that misbehaves in one way."""
    caplog.set_level(logging.DEBUG)
    journal = tmp_path / "journal" / "run.sqlite"
    journal.parent.mkdir()
    grant = answer(200, {"accessToken": TOKEN, "expiresIn": 3600})
    said: list[str] = []
    async with peer() as elsewhere:
        away = answer(307, b"", ("Location", f"{elsewhere.url}/v1/process/audio?sig={SIGNATURE}"))
        script = FAULTS.get(fault, away)
        async with (
            peer(token=grant, submit=[script, script, answer(201, ACCEPTED)]) as server,
            SymblClient(
                base_url=server.url,
                app_id="app",
                app_secret=SECRET,
                retry=Retry(first=0, attempts=2),
                timeouts=Timeouts(connect=2, reply=2, stall=2),
                polling=Polling(first=0.01, minimum_gap=0.001),
            ) as client,
        ):
            batch = client.batch(sources(tmp_path), journal=journal, fetch=("messages",), on_uncertain="reconcile")
            said.append(repr(batch))
            try:
                with anyio.move_on_after(2):  # what is looked for by its mark takes a minute
                    async with batch:
                        async for outcome in batch:
                            said.append(f"{outcome!r} {outcome.job!r} {outcome.conversation!r}")
                            if outcome.error is not None:
                                said.append(everything_said(outcome.error))
                                said.append(pickled(outcome.error))
            except SymblError as error:
                said.append(everything_said(error))
            said.append(batch.report.to_json())
            said.append(repr(batch.report))
            said.append(f"{client!r} {client.job(JOB)!r} {client.watch()!r}")
            parts = client._open_parts()
            said.extend(
                repr(one) for one in (parts, parts.session, parts.session.tokens, parts.submitter, client._target)
            )
            said.extend(repr(one) for one in sources(tmp_path) if not isinstance(one, list))
        assert elsewhere.ledger == []
    for text in said:
        assert_clean(text, "what was said")
    assert_clean(caplog.text, "the logs")
    for record in caplog.records:
        assert_clean(f"{record.args!r} {record.exc_info!r}", "a log record")
    for file in journal.parent.iterdir():
        assert_clean(file.read_bytes().decode("latin-1"), file.name)


def pickled(error: BaseException) -> str:
    """What would travel to another process, of the error and of all that hangs on it."""
    texts = []
    for one in chain(error):
        try:
            texts.append(pickle.dumps(one).decode("latin-1"))
        except (TypeError, AttributeError, pickle.PicklingError):
            continue
    return "".join(texts)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.audio.submit(URL),
        lambda client: client.audio.append(CONVERSATION, URL),
        lambda client: client.audio.submit_url(f"ftp://media.example/a.mp3?sig={SIGNATURE}"),
        lambda client: client.audio.submit_url(f"https://user:{SIGNATURE}@media.example/a.mp3"),
        lambda client: client.audio.submit_url(f"https://media.example:99999/a.mp3?{SIGNATURE}"),
        lambda client: client.submit(f"https://media.example/a.xyz?sig={SIGNATURE}"),
        lambda client: client.submit(f"https://user:{SIGNATURE}@media.example/a.xyz"),
        lambda client: client.text.submit("Hello.", webhook_url=f"ftp://hooks.example/?{HOOK}"),
        lambda client: client.text.submit("Hello.", webhook_url=f"https://user:{HOOK}@hooks.example/"),
    ],
)
async def test_refusals_of_bad_input_do_not_repeat_its_secrets(call: Any) -> None:
    """A URL is named without its query and without what stands before the host."""
    async with peer() as server, SymblClient(base_url=server.url, access_token=TOKEN) as client:
        with pytest.raises(InvalidInputError) as caught:
            await call(client)
        assert_clean(everything_said(caught.value), "the refusal")
        assert server.ledger == []


def test_settings_do_not_show_secrets() -> None:
    """Neither a client nor a complaint about its arguments does."""
    for options in (
        {"base_url": f"https://user:{SECRET}@symbl.example"},
        {"base_url": f"https://symbl.example/?key={SECRET}"},
        {"base_url": "https://symbl.example", "access_token": f"{TOKEN} and\nmore"},
        {"base_url": "https://symbl.example", "app_secret": SECRET},
    ):
        with pytest.raises(SymblError) as caught:
            SymblClient(**options)  # type: ignore[arg-type]
        assert_clean(everything_said(caught.value), "the complaint")
    client = SymblClient(
        base_url="https://symbl.example",
        app_id="app",
        app_secret=SECRET,
        proxy=f"http://user:{SIGNATURE}@proxy.example",
    )
    assert_clean(f"{client!r} {client._target!r}", "the client")
