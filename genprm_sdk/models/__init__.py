"""Which models there are, where their files lie, how they are fetched and how they want to be used."""

from __future__ import annotations

from .catalogue import BundledModel, KnownModel, bundled_model, bundled_models, known_models
from .download import Arrived, Plan, fetch, plan_download
from .gguf import MetadataValue, read_gguf_metadata
from .locating import HubSource, Located, find_model, locate
from .settings import VerifierSettings

__all__ = [
    "Arrived",
    "BundledModel",
    "HubSource",
    "KnownModel",
    "Located",
    "MetadataValue",
    "Plan",
    "VerifierSettings",
    "bundled_model",
    "bundled_models",
    "fetch",
    "find_model",
    "known_models",
    "locate",
    "plan_download",
    "read_gguf_metadata",
]
