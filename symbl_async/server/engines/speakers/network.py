"""The voice network: a stretch of speech becomes a vector that depends on who speaks more than on what is said.

Three LSTM layers and a projection, run by numpy. ``README.md`` beside this file says where the weights come from.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from .spectra import BANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .spectra import Spectra

    Floats = NDArray[np.float32]

LONGEST = 160
"""Frames of one stretch: those that the network was trained on."""

_LAYERS = 3
_UNITS = 256
_BATCH = 32


class VoiceNetwork:
    """Turns stretches of speech into vectors of 256 numbers, none negative, of length 1."""

    def __init__(self) -> None:
        with (files(__package__) / "d_vectors.npz").open("rb") as file:
            arrays = {name: array.astype(np.float32) for name, array in np.load(file).items()}
        # Transposed once: the products below then read memory in order.
        self._layers = [
            (
                np.ascontiguousarray(arrays[f"lstm.weight_ih_l{layer}"].T),
                np.ascontiguousarray(arrays[f"lstm.weight_hh_l{layer}"].T),
                arrays[f"lstm.bias_ih_l{layer}"] + arrays[f"lstm.bias_hh_l{layer}"],
            )
            for layer in range(_LAYERS)
        ]
        self._projection = np.ascontiguousarray(arrays["linear.weight"].T), arrays["linear.bias"]

    def embed(self, stretches: Sequence[Spectra]) -> Floats:
        """Return the vectors of *stretches*, each of 1 to 160 frames by 40 bands."""
        batches = [self._batch(stretches[at : at + _BATCH]) for at in range(0, len(stretches), _BATCH)]
        return np.concatenate(batches) if batches else np.zeros((0, _UNITS), np.float32)

    def _batch(self, stretches: Sequence[Spectra]) -> Floats:
        lengths = np.array([len(stretch) for stretch in stretches])
        outputs = np.zeros((int(lengths.max()), len(stretches), BANDS), np.float32)
        for index, stretch in enumerate(stretches):
            outputs[: len(stretch), index] = stretch
        for weights, recurrent, bias in self._layers:
            outputs = _layer(outputs, weights, recurrent, bias)
        # What comes after the end of a shorter stretch has not touched the state at its end.
        last = outputs[lengths - 1, np.arange(len(stretches))]
        weights, bias = self._projection
        vectors = np.maximum(last @ weights + bias, 0.0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        normalised: Floats = vectors / np.maximum(lengths, np.float32(1e-9))
        return normalised


def _layer(inputs: Floats, weights: Floats, recurrent: Floats, bias: Floats) -> Floats:
    """Run an LSTM layer over *inputs* of shape (frames, stretches, values)."""
    driven = inputs @ weights + bias
    outputs = np.empty((*inputs.shape[:2], _UNITS), np.float32)
    state = cell = np.zeros((inputs.shape[1], _UNITS), np.float32)
    for frame in range(len(inputs)):
        gates = driven[frame] + state @ recurrent
        # Input and forget gates lie side by side.
        opening = _sigmoid(gates[:, : 2 * _UNITS])
        cell = opening[:, _UNITS:] * cell + opening[:, :_UNITS] * np.tanh(gates[:, 2 * _UNITS : 3 * _UNITS])
        state = outputs[frame] = _sigmoid(gates[:, 3 * _UNITS :]) * np.tanh(cell)
    return outputs


def _sigmoid(values: Floats) -> Floats:
    # By tanh, which does not overflow.
    half = np.float32(0.5)
    opening: Floats = half * np.tanh(half * values) + half
    return opening
