"""From problems to training data for a verifier: stages over one resumable store.

``recipe.py`` says what is made, ``run.py`` makes it, ``store.py`` keeps it. Each stage is a module with one
async function from a record to a record (``records.py``): ``problems``, ``rollouts``, ``monte_carlo``,
``rationales``, ``progress``, ``consensus``, ``dataset``. Knows backends and verifiers, no training.
"""

from __future__ import annotations

from .recipe import PipelineRecipe, load_pipeline_recipe
from .run import Progress, StageStatus, export, read_status, run_pipeline

__all__ = [
    "PipelineRecipe",
    "Progress",
    "StageStatus",
    "export",
    "load_pipeline_recipe",
    "read_status",
    "run_pipeline",
]
