"""Public types: validation, immutability, JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genprm_sdk import CodeRun, InputError, Report, Solution, StepResult, Usage, VerificationPath, split_steps

text = st.text(min_size=1).filter(str.strip)
counts = st.integers(min_value=0, max_value=10**9)
usages = st.builds(
    Usage,
    prompt_tokens=counts,
    shared_tokens=counts,
    generated_tokens=counts,
    code_runs=counts,
    seconds=st.floats(min_value=0, max_value=1e6),
)
runs = st.builds(
    CodeRun,
    code=st.text(),
    status=st.sampled_from(["ok", "error", "timeout"]),
    stdout=st.text(),
    feedback=st.text(),
)
scores = st.floats(min_value=0, max_value=1)


@st.composite
def paths(draw: st.DrawFn) -> VerificationPath:
    verdict = draw(st.sampled_from(["yes", "no", None]))
    return VerificationPath(
        index=draw(st.integers(min_value=0, max_value=64)),
        verdict=verdict,
        score=None if verdict is None else draw(scores),
        text=draw(st.text()),
        analysis=draw(st.none() | st.text()),
        code_runs=tuple(draw(st.lists(runs, max_size=2))),
        degraded=draw(st.sampled_from([None, "rounds", "tokens", "context"])),
        usage=draw(usages),
    )


@given(st.lists(paths(), min_size=1, max_size=3), text, usages)
def test_reports_survive_json(members: list[VerificationPath], step: str, usage: Usage) -> None:
    result = StepResult(index=0, text=step, label="correct", score=0.5, paths=tuple(members))
    report = Report(
        steps=(result,), first_error=None, verdict="correct", model="m", samples=1, seed=3, usage=usage
    )
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_results_cannot_be_changed() -> None:
    usage = Usage(prompt_tokens=1)
    with pytest.raises(ValidationError):
        usage.prompt_tokens = 2  # type: ignore[misc]


def test_usages_add_up() -> None:
    one = Usage(prompt_tokens=1, shared_tokens=2, generated_tokens=3, code_runs=4, seconds=0.5)
    assert one + one == Usage(prompt_tokens=2, shared_tokens=4, generated_tokens=6, code_runs=8, seconds=1.0)


@pytest.mark.parametrize(("verdict", "score"), [("yes", None), (None, 0.5)])
def test_a_score_needs_a_verdict_and_a_verdict_a_score(verdict: str | None, score: float | None) -> None:
    with pytest.raises(ValidationError, match="exactly when"):
        VerificationPath(index=0, verdict=verdict, score=score, text="")  # type: ignore[arg-type]


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_scores_are_probabilities(score: float) -> None:
    with pytest.raises(ValidationError):
        StepResult(index=0, text="a", label="correct", score=score, paths=())


@given(st.lists(st.text(alphabet="ab =1\n", min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_splitting_keeps_every_word_in_order(steps: list[str]) -> None:
    joined = "\n\n".join(steps)
    parts = split_steps(joined)
    assert "".join("".join(parts).split()) == "".join(joined.split())
    assert all(part == part.strip() and part for part in parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n\nb", ["a", "b"]),
        ("a\nb\n\n\n c \n", ["a\nb", "c"]),
        ("\n\n", []),
        ("a\r\n\r\nb", ["a", "b"]),
        ("a\n \t\nb", ["a", "b"]),
    ],
)
def test_splitting_at_blank_lines(text: str, expected: list[str]) -> None:
    assert split_steps(text) == expected


def test_a_solution_has_one_problem() -> None:
    solution = Solution.of(["a"], "p", id="7")
    assert Solution.of(solution) is solution
    with pytest.raises(InputError, match="already has a problem"):
        Solution.of(solution, "q")


def test_steps_may_come_from_any_iterable() -> None:
    assert Solution.of(step for step in ("a", "b")).steps == ("a", "b")


@pytest.mark.parametrize("where", ["problem", "step"])
def test_half_a_surrogate_pair_is_refused(where: str) -> None:
    with pytest.raises(InputError, match="surrogate"):
        Solution.of(["a\ud800" if where == "step" else "a"], "b\udfff" if where == "problem" else "b")
