"""The experiments, in the page's order."""

from __future__ import annotations

from . import (
    best_of_n,
    beyond,
    components,
    data,
    failures,
    label_training,
    labels,
    pruned,
    refinement,
    reinforced,
    scaling,
    sizes,
    tokens,
    unseen,
)
from .experiment import Experiment

__all__ = ["EXPERIMENTS", "Experiment"]

EXPERIMENTS = (
    scaling.EXPERIMENT,
    components.EXPERIMENT,
    labels.EXPERIMENT,
    label_training.EXPERIMENT,
    refinement.EXPERIMENT,
    best_of_n.EXPERIMENT,
    sizes.EXPERIMENT,
    data.EXPERIMENT,
    tokens.EXPERIMENT,
    failures.EXPERIMENT,
    unseen.EXPERIMENT,
    beyond.EXPERIMENT,
    pruned.EXPERIMENT,
    reinforced.EXPERIMENT,
)
