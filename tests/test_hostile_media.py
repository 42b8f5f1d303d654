"""Recordings whose headers lie: the client looks at no more than their beginning and passes them on as they are."""

from __future__ import annotations

import math
import os
from pathlib import Path

import anyio
import pytest
from hostile_media import MP4, WAV
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import JOB, peer
from support import client_of

from symbl_async._delivery.workload import HEAD_BYTES, workload
from symbl_async._media import matches

CASES = [*((name, "mp4", data) for name, data in MP4.items()), *((name, "wav", data) for name, data in WAV.items())]


@pytest.mark.parametrize(("suffix", "data"), [case[1:] for case in CASES], ids=[f"{c[1]} {c[0]}" for c in CASES])
async def test_row_85_lying_header_is_sent_as_it_is(tmp_path: Path, suffix: str, data: bytes) -> None:
    """Nothing hangs and nothing is refused here: one request with the very bytes, whose content the server judges."""
    path = tmp_path / f"talk.{suffix}"
    path.write_bytes(data)
    async with peer() as server, client_of(server) as client:
        with anyio.fail_after(5):
            handle = await client.submit(path)
        assert (handle.id, handle.record.length > 0) == (JOB, True)
        (request,) = server.seen("submit")
        assert (request.bytes, request.complete) == (len(data), True)
        assert request.body == data[: len(request.body)]


async def test_row_85_no_more_than_the_beginning_is_looked_at(tmp_path: Path) -> None:
    """What a file is called and how it begins decide, however large it is: a hole of a terabyte is as good as any."""
    path = tmp_path / "talk.wav"
    path.write_bytes(WAV["sizes beyond the end"])
    os.truncate(path, 1 << 40)
    async with peer() as server, client_of(server) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.submit, path)
            with anyio.fail_after(5):
                while not server.seen("submit"):  # noqa: ASYNC110 - it happens in the peer
                    await anyio.sleep(0.002)
            group.cancel_scope.cancel()
        (request,) = server.seen("submit")
        assert request.headers["content-type"] == "audio/wav"
        assert request.length == 1 << 40


@settings(deadline=None, max_examples=100)
@given(
    head=st.one_of(
        st.binary(max_size=HEAD_BYTES + 20),
        st.tuples(
            st.sampled_from([data[:HEAD_BYTES] for data in WAV.values()]), st.integers(0, 43), st.binary(max_size=8)
        ).map(lambda parts: (parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :])[:HEAD_BYTES]),
    ),
    size=st.integers(1, 1 << 60),
    content_type=st.sampled_from(["audio/wav", "audio/mpeg", "video/mp4", "audio/flac"]),
)
def test_row_85_any_beginning_has_a_length_and_a_type(head: bytes, size: int, content_type: str) -> None:
    """Whatever the bytes are, what is made of them is a yes or no, and a finite length that is not negative."""
    assert matches(content_type, head) in (True, False)
    kind, length = workload("submit_audio", content_type, head, size)
    assert kind
    assert math.isfinite(length)
    assert length >= 0
