"""Honest blocks must come out as under plain Python, whatever stands around them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from genprm_sdk.errors import SandboxUnavailable
from genprm_sdk.sandbox import Isolation, Limits, Sandbox

from .realistic_corpus import REALISTIC

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

TOGETHER = 4

PLAIN = """
import contextlib, io, json, sys
def ending(code):
    stdout, error = io.StringIO(), None
    with contextlib.redirect_stdout(stdout):
        try:
            exec(compile(code, '<string>', 'exec'), {'__name__': '__main__'})
        except Exception as caught:
            error = [type(caught).__name__, str(caught)]
    return [stdout.getvalue(), error]
results = {name: ending(code) for name, code in json.load(sys.stdin).items()}
json.dump(results, sys.__stdout__)
"""


@pytest.fixture(scope="module")
def plain() -> dict[str, list[object]]:
    """What a Python of its own, with nothing around it, makes of every block: output and error."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLAIN],
        input=json.dumps(REALISTIC),
        env={"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[object]] = json.loads(run.stdout)
    return found


def one_line(text: str) -> str:
    return " ".join(part.strip() for part in text.splitlines()) if "\n" in text else text


@pytest.mark.parametrize("isolation", ["kernel+language", "kernel", "language"])
async def test_comes_out_as_under_plain_python(isolation: Isolation, plain: dict[str, list[object]]) -> None:
    turns = asyncio.Semaphore(TOGETHER)

    async with Sandbox(Limits(wall_seconds=20, output_chars=20_000), isolation=isolation) as sandbox:
        try:
            await sandbox.ready()
        except SandboxUnavailable as error:
            pytest.skip(str(error))

        async def difference(name: str) -> str | None:
            async with turns, sandbox.session() as session:
                run = await session.run(REALISTIC[name])
            stdout, error = plain[name]
            ending = None if run.status == "ok" else [run.error_type, run.message]
            expected = [error[0], one_line(error[1])] if isinstance(error, list) else None
            if (run.stdout, ending) == (stdout, expected):
                return None
            return f"{name}: {run.status} {run.stdout!r} {ending}\n    instead of {stdout!r} {expected}"

        different = [line for line in await asyncio.gather(*map(difference, REALISTIC)) if line]
    assert not different, "\n".join([f"{isolation}:", *different])


def test_there_are_enough() -> None:
    assert len(set(REALISTIC.values())) >= 100
