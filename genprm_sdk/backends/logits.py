"""From a model's raw logits to probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError

__all__ = ["NO_NUMBERS", "log_probabilities"]

NO_NUMBERS = "the model's logits are no numbers: its file is damaged"


def log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The log-probability of every token, at temperature 1.

    Raises:
        BackendError: The logits are no numbers.
    """
    if not np.isfinite(logits).all():
        raise BackendError(NO_NUMBERS)
    shifted = logits.astype(np.float64) - float(logits.max())
    normal: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return normal
