"""YAML files that people write: whatever is wrong with one is a ValueError."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_yaml"]


def read_yaml(path: Path) -> object:
    """What a YAML file holds: plain data, no objects.

    Raises:
        ValueError: It cannot be read, or is no YAML.
        ImportError: PyYAML is not installed.
    """
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    # PyYAML lets what Python says of a wrong number or date through, of whatever kind that is.
    except Exception as error:
        raise ValueError(str(error)) from error
