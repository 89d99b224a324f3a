"""The command ``genprm``: ``app.py`` says which commands and options there are, a file each what they do.

Importing this loads nothing of its own; models, engines and numpy are loaded by the command that needs them.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. See ``app.main``."""
    try:
        from . import app
    except KeyboardInterrupt:
        return 130
    return app.main(arguments)
