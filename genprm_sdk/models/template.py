"""A folder in the Hugging Face layout: its chat template, and how its special tokens are spelled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ModelFileError

__all__ = ["spelling", "stored_template", "template_of_folder"]


def stored_template(folder: Path, config: Mapping[str, Any]) -> str:
    """A folder's chat template, empty if it has none.

    Args:
        folder: The folder.
        config: What its ``tokenizer_config.json`` says.
    """
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8", errors="replace")
    template = config.get("chat_template")
    if isinstance(template, list):
        named = [entry for entry in template if isinstance(entry, dict) and entry.get("name") == "default"]
        template = named[-1].get("template") if named else None
    return template if isinstance(template, str) else ""


def template_of_folder(folder: Path, config: Mapping[str, Any]) -> str:
    """The same.

    Raises:
        ModelFileError: It has none.
    """
    template = stored_template(folder, config)
    if not template:
        raise ModelFileError(f"{folder} has no chat template: it is not a model to chat with")
    return template


def spelling(token: object) -> str:
    """How a special token is written: as a ``tokenizer_config.json`` has it, a text or an object with one."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else ""
