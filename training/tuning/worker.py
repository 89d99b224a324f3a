"""The process of a training: ``python -m genprm_sdk.training.tuning.worker JOB.json``.

Standard output carries progress and, at the end, what went wrong, one JSON object a line. SIGTERM and SIGINT
ask for a checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from genprm_sdk.errors import GenPRMError, InputError, MissingExtraError, ModelError

from .folders import base_folder
from .launching import STOPPED, UNUSABLE
from .settings import SFTRecipe

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Do a job; returns the exit code."""
    job: dict[str, Any] = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: asked.append(received))
    try:
        return 0 if _do(job, lambda: bool(asked)) else STOPPED
    except (InputError, MissingExtraError, ModelError) as error:
        _say({"error": str(error)})
        return UNUSABLE
    except (GenPRMError, OSError) as error:
        _say({"error": f"{type(error).__name__}: {error}"})
        return 1


def _do(job: dict[str, Any], stop: Any) -> bool:
    out = Path(job["out"])
    folder = base_folder(job["model"], out / "base")
    if job["kind"] == "sft":
        from .sft import train_sft

        recipe = SFTRecipe.model_validate(job["recipe"])
        return train_sft(folder, Path(job["data"]), out, recipe, hear=_say, stop=stop)
    if job["kind"] == "rl":
        from .rl import RLRecipe, train_rl

        settings = RLRecipe.model_validate(job["recipe"])
        return train_rl(folder, Path(job["data"]), out, settings, hear=_say, stop=stop)
    raise InputError(f"there is no training of kind {job['kind']!r:.40}")


def _say(told: dict[str, Any]) -> None:
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(told), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
