"""``genprm models``: the models that come with the package, and their cards."""

from __future__ import annotations

import sys

from rich.table import Table

from ..models import bundled_model, bundled_models
from .codes import FINE
from .terminal import show

__all__ = ["list_models", "show_model"]


def list_models() -> int:
    """Print a line a model."""
    table = Table(title="bundled models")
    for column in ("name", "role", "size", "what it does"):
        table.add_column(column, no_wrap=column != "what it does")
    for model in bundled_models():
        size = f"{model.path.stat().st_size / 1e6:.1f} MB"
        table.add_row(model.name, model.role, size, model.description)
    show(table)
    return FINE


def show_model(name: str) -> int:
    """Print a model's card as it stands, Markdown.

    Raises:
        UnknownModelError: No bundled model has this name.
    """
    sys.stdout.write(bundled_model(name).card.read_text(encoding="utf-8"))
    return FINE
