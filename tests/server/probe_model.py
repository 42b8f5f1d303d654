"""A shared model for tests of its process: does what the body of a request says.

It is installed into a folder of its own by ``install``, as the other half of the probing engine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import probe_engine

from symbl_async.errors import ConfigurationError
from symbl_async.server.engines.plugins import EngineSetting, OutsideReply, OutsideRequest


def install(folder: Path) -> None:
    """Make this module an installed package in *folder*, with its entry point, and the probing engine too."""
    probe_engine.install(folder)
    (folder / "probe_model.py").write_text(Path(__file__).read_text())
    facts = folder / "probe_model-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: probe-model\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[symbl_async.model]\nprobe = probe_model:Echo\n")


class Echo:
    """Answers with its process id, the number of requests at once, and the request."""

    def __init__(self, setting: EngineSetting) -> None:
        if setting.options.get("broken"):
            raise ConfigurationError("probe: it is broken")

    def answer(self, requests: Sequence[OutsideRequest]) -> list[OutsideReply]:
        """Do what is asked."""
        for request in requests:
            if request.body == b"/die":
                os._exit(3)
            if request.body == b"/few":
                return []
            if request.body == b"/fail":
                raise RuntimeError("a bug in the model")
            if request.body == b"/hang":
                time.sleep(600)  # noqa: TID251 - this process has nothing else to do
            if request.body == b"/attempts":
                return [OutsideReply(200, probe_engine.attempts("/etc/hostname").encode()) for _ in requests]
        return [
            OutsideReply(200, f"{os.getpid()} {len(requests)} {request.body.decode()}".encode()) for request in requests
        ]
