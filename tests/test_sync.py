"""The blocking verifier, also inside a running event loop."""

from __future__ import annotations

import anyio
import pytest

from genprm_sdk import ClosedError, InputError, UnknownModelError
from genprm_sdk.sync import Verifier

STEPS = ["Let's calculate A = (3 + 4 * 2) = (3 + 8) = 11."]


def test_a_check_without_async() -> None:
    with Verifier("genprm-mini", threads=1) as verifier:
        report = verifier.check(STEPS, samples=2, seed=3)
        assert verifier.check(STEPS, samples=2, seed=3).steps[0].score == report.steps[0].score
    assert len(report.steps[0].paths) == 2
    with pytest.raises(ClosedError, match="with Verifier"):
        verifier.check(STEPS)


def test_a_check_inside_a_running_loop() -> None:
    async def notebook_cell() -> int:
        with Verifier("genprm-mini", threads=1) as verifier:
            return len(verifier.check(STEPS).steps)

    assert anyio.run(notebook_cell) == 1


def test_errors_come_through() -> None:
    with pytest.raises(UnknownModelError):
        Verifier("nope").__enter__()
    with Verifier("genprm-mini", threads=1) as verifier, pytest.raises(InputError, match="no steps"):
        verifier.check([])
