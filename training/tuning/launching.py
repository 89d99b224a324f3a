"""A training in a process of its own: begun, listened to, and stopped with a checkpoint.

The process that asks keeps its event loop and none of a trainer's memory; several processes are started by
``accelerate launch``. Knows how a worker is told what to do and what it answers, not what a training is.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import IO, Any

from genprm_sdk.errors import GenPRMError, InputError
from genprm_sdk.json_objects import json_object

__all__ = ["STOPPED", "UNUSABLE", "TrainingError", "run_worker"]

MODULE = "genprm_sdk.training.tuning.worker"
STOPPED = 3
"""Exit code of a worker that was asked to stop, and has written a checkpoint."""

UNUSABLE = 2
"""Exit code of a worker whose input cannot be used."""

PATIENCE = 120.0
"""Seconds for a checkpoint before a worker is killed."""

LONGEST_LINE = 1 << 20
SHOWN_LINES = 12


class TrainingError(GenPRMError):
    """A training process failed; what it had finished is kept."""


async def run_worker(
    job: Mapping[str, Any],
    out: Path,
    *,
    launch: str | None = None,
    processes: int = 1,
    hear: Callable[[dict[str, float]], None] = lambda progress: None,
    inherited: Sequence[int] = (),
) -> None:
    """Run a job in a process of its own; cancelling asks it for a checkpoint and waits for that.

    Args:
        job: What ``worker`` is to do.
        out: The training's folder; what the process prints besides goes to ``worker.log`` there.
        launch: ``fsdp``, ``deepspeed`` or an accelerate configuration; None starts one plain process.
        processes: How many, with ``launch``.
        hear: Called with progress.
        inherited: Open files that the process keeps open, too: a lock then lasts as long as it works, even
            where who asked was killed.

    Raises:
        InputError: The job's input cannot be used.
        TrainingError: The process failed; names the file that says more.
    """
    log = out / "worker.log"
    described, errors = await asyncio.to_thread(_begin, job, out, log)
    with errors:
        process = await asyncio.create_subprocess_exec(
            *_command(launch, processes),
            os.fspath(described),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            pass_fds=inherited,
            limit=LONGEST_LINE,
        )
    answer: dict[str, Any] = {}
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            try:
                told = json_object(line)
            except ValueError:
                continue  # a library that prints
            if "error" in told:
                answer = told
            else:
                hear(told)
        code = await process.wait()
    finally:
        if process.returncode is None:
            await _end(process)
    if code == UNUSABLE and answer:
        raise InputError(answer["error"])
    if code != 0:
        raise TrainingError(f"the training ended with exit code {code}: {_reason(answer, log)}")


def _begin(job: Mapping[str, Any], out: Path, log: Path) -> tuple[Path, IO[bytes]]:
    """Describe the job in a file, and open the log."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        described = out / "job.json"
        described.write_text(json.dumps(job, indent=1), encoding="utf-8")
        return described, log.open("ab")
    except OSError as error:
        raise InputError(f"{out} cannot be used for a training: {error}") from None


def _command(launch: str | None, processes: int) -> list[str]:
    if launch is None:
        return [sys.executable, "-m", MODULE]
    configuration = Path(launch)
    if not configuration.suffix:
        configuration = Path(str(resources.files(__package__) / "launch")) / f"{launch}.yaml"
    if not configuration.is_file():
        raise InputError(
            f"launch is {launch!r:.80}: it must be fsdp, deepspeed, or an accelerate configuration's file"
        )
    return [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", os.fspath(configuration), "--num_processes", str(processes), "-m", MODULE),
    ]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask for a checkpoint, and wait for it; whatever cancels in between waits, too."""
    os.killpg(process.pid, signal.SIGTERM)
    waiting = asyncio.ensure_future(asyncio.wait_for(process.wait(), PATIENCE))
    while not waiting.done():
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            continue
        except TimeoutError:
            break
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _reason(answer: Mapping[str, Any], log: Path) -> str:
    if "error" in answer:
        return f"{answer['error']} (more in {log})"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-SHOWN_LINES:]
    return f"{lines[-1] if lines else 'it said nothing'} (more in {log})"
