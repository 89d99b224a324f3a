"""What tells a model's files from others of the same name, without reading gigabytes."""

from __future__ import annotations

import hashlib
import os

from ..errors import ModelFileError
from .cache import HubCache
from .locating import Located

__all__ = ["fingerprint"]

PROBED_BYTES = 1 << 22
"""At the beginning and at the end of each file."""


def fingerprint(located: Located) -> str | None:
    """A digest of a model's sizes and of the ends of its weights; None where no file of it is here.

    Raises:
        ModelFileError: A file cannot be read.
    """
    path = located.path or (HubCache().find(located.hub) if located.hub else None)
    if path is None:
        return None
    content = hashlib.sha256()
    for each in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        try:
            with each.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                content.update(str(size).encode())
                for start in (0, max(0, size - PROBED_BYTES)):
                    file.seek(start)
                    content.update(file.read(PROBED_BYTES))
        except OSError as error:
            raise ModelFileError(f"cannot read {each}: {error.strerror or error}") from error
    return content.hexdigest()[:16]
