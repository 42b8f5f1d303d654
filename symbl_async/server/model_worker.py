"""The process of a shared model: ``python -m symbl_async.server.model_worker DESCRIPTOR KIND SETTING``.

It sees no media, only what confined workers made of them. It confines itself all the same: it needs no network and no
files but the model, and with a device other than the CPU that device.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import traceback
from http import HTTPStatus
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from ..errors import ConfigurationError
from .confine import GPU_READS, confine, gpu_devices
from .engines._wire import FRAME, MAX_BYTES, dump_replies, load_call
from .engines.plugins import EngineSetting, OutsideReply
from .model import GROUP, Model
from .worker import located, receive

logger = logging.getLogger("symbl_async.server.model_worker")


def load_model(setting: str) -> Model:
    """Load the shared half of the engine that *setting* names.

    Raises:
        ConfigurationError: It cannot be had.
    """
    parsed = EngineSetting.parse(setting)
    return cast("Model", entry_points(group=GROUP)[parsed.name].load()(parsed))


def serve(connection: socket.socket, model: Model | None, reason: str) -> None:
    """Answer batches until the other end closes; without a *model*, with the *reason* for that."""
    while True:
        _, length = FRAME.unpack(receive(connection, FRAME.size))
        if length > MAX_BYTES:
            return
        requests = load_call(receive(connection, length)).requests
        if model is None:
            replies = (OutsideReply(HTTPStatus.INTERNAL_SERVER_ERROR, reason=reason),) * len(requests)
        else:
            try:
                replies = tuple(model.answer(requests))
            except Exception:
                logger.error("the model failed:\n%s", traceback.format_exc())  # noqa: TRY400 - one record for the log
                failure = OutsideReply(HTTPStatus.INTERNAL_SERVER_ERROR, reason="the model failed; the log says why")
                replies = (failure,) * len(requests)
        data = dump_replies(replies)
        connection.sendall(FRAME.pack(0, len(data)) + data)


def main(arguments: list[str]) -> int:
    """Confine this process, load the model and serve."""
    descriptor, _, setting = arguments
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    setting, paths = located(setting)
    devices = gpu_devices() if EngineSetting.parse(setting).options.get("device", "cpu") != "cpu" else []
    reads = [*paths, *map(Path, GPU_READS if devices else ())]
    # The size of the model is the operator's choice, and a GPU takes far more addresses than it has memory.
    in_force = confine(reads, memory=None, devices=devices)
    if not (in_force.limits and in_force.calls and in_force.files):
        logger.warning("this system cannot confine a model fully; in force: %s", in_force)
    model, reason = None, ""
    try:
        model = load_model(setting)
    except ConfigurationError as error:
        reason = str(error)
        logger.warning("there is no shared model: %s", reason)
    with socket.socket(fileno=int(descriptor)) as connection, contextlib.suppress(EOFError, ConnectionError):
        serve(connection, model, reason)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
