"""Which models there are, where their files lie and how they want to be used."""

from __future__ import annotations

from .catalogue import BundledModel, bundled_model, bundled_models, find_model
from .gguf import MetadataValue, read_gguf_metadata
from .settings import VerifierSettings

__all__ = [
    "BundledModel",
    "MetadataValue",
    "VerifierSettings",
    "bundled_model",
    "bundled_models",
    "find_model",
    "read_gguf_metadata",
]
