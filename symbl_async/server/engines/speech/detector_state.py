"""What the voice detector of Moonshine remembers, and how to make it forget.

The library keeps one detector network for the whole process, and its recurrent state outlives the transcribers that
use it: where a recording begins to be speech then depends on what was heard before it, and so do the words. There is
no call that resets it. So its two buffers, 64 samples of sound and 2 x 128 numbers of memory, are found by their sizes
within the network's own block of memory and filled with zeros, as they are in a process that has heard nothing.
"""

from __future__ import annotations

import ctypes
import logging
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger(__name__)

_NETWORK = "_ZN21VoiceActivityDetector10silero_vadE"
_BUFFERS = (64 * 4, 2 * 128 * 4)
"""Bytes of each."""
_SIZE_OF_BLOCK = ("malloc_usable_size", "malloc_size")
"""The C library's question for the size of a block, on Linux and on macOS."""


class DetectorState:
    """Forgets what the detector network of this process has heard.

    Args:
        library: Moonshine's.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._address = 0
        self._buffers: Sequence[tuple[int, int]] = ()

    def forget(self) -> bool:
        """Reset the network; ``False`` where it is not there yet, or not as expected."""
        try:
            address = ctypes.c_void_p.in_dll(self._library, _NETWORK).value or 0
        except ValueError:
            return False
        if address != self._address:
            self._address, self._buffers = address, _find_buffers(address)
            if not self._buffers:
                _log.warning("the voice detector is not as expected; results may depend on what was heard before")
        for start, size in self._buffers:
            ctypes.memset(start, 0, size)
        return bool(self._buffers)


def _find_buffers(address: int) -> Sequence[tuple[int, int]]:
    """The buffers among the vectors of the object at *address*: (start, bytes); none unless there is one of each size.

    A vector is three pointers: to its start, behind its last number, and behind its last place.
    """
    size = _block_size(address)
    words = struct.unpack(f"{size // 8}Q", ctypes.string_at(address, size // 8 * 8))
    vectors = [
        (start, end - start)
        for start, end, limit in zip(words, words[1:], words[2:], strict=False)
        if start and not start % 8 and end - start in _BUFFERS and end <= limit <= start + 4096
    ]
    return vectors if sorted(length for _, length in vectors) == sorted(_BUFFERS) else ()


def _block_size(address: int) -> int:
    if not address:
        return 0
    system = ctypes.CDLL(None)
    for name in _SIZE_OF_BLOCK:
        try:
            ask = getattr(system, name)
        except AttributeError:
            continue
        ask.restype, ask.argtypes = ctypes.c_size_t, [ctypes.c_void_p]
        return int(ask(address))
    return 0
