"""Public types: validation, immutability, JSON."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genprm_sdk.errors import InputError
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.scoring import SolutionScores
from genprm_sdk.types import (
    LONGEST_RUN,
    MOST_CHARACTERS,
    MOST_STEPS,
    CodeRun,
    CodeStatus,
    Label,
    Report,
    Solution,
    StepResult,
    Stopped,
    Usage,
    Verdict,
    VerificationPath,
    split_steps,
)

thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

text = st.text(min_size=1).filter(str.strip)
counts = st.integers(min_value=0, max_value=10**9)
kinds: dict[str, st.SearchStrategy[Any]] = {
    name: counts if field.annotation is int else counts.map(float)
    for name, field in Usage.model_fields.items()
    if field.annotation in (int, float)
}
usages = st.builds(
    Usage,
    code_failures=st.dictionaries(st.sampled_from(get_args(CodeStatus)), counts),
    **kinds,
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
        verdict_mass=draw(st.none() | scores),
        reasoning=draw(st.sampled_from(Reasoning)),
        forgotten=draw(counts),
        degraded=draw(st.sampled_from([None, "rounds", "tokens", "context"])),
        usage=draw(usages),
    )


members = st.lists(paths(), max_size=2).map(tuple)
results = st.builds(
    StepResult,
    index=counts,
    text=text,
    label=st.sampled_from(get_args(Label)),
    score=st.none() | scores,
    paths=members,
    cheaper=members,
    extra=members,
)
reports = st.builds(
    Report,
    id=st.none() | text,
    problem=st.none() | text,
    steps=st.lists(results, max_size=2).map(tuple),
    first_error=st.none() | counts,
    verdict=st.sampled_from(["correct", "incorrect", "unparsed", "incomplete"]),
    model=text,
    samples=st.integers(min_value=1, max_value=9),
    seed=st.integers(min_value=-(2**63), max_value=2**64 - 1),
    reasoning=st.lists(st.sampled_from(Reasoning), max_size=3).map(tuple),
    history=st.sampled_from(History),
    total_steps=st.none() | counts,
    stopped=st.none() | st.sampled_from(get_args(Stopped)),
    usage=usages,
)


@given(reports)
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
def test_reports_survive_json(report: Report) -> None:
    again = Report.model_validate_json(report.model_dump_json())
    assert again == report
    assert len({again, report}) == 1
    assert type(again.history) is History
    assert all(type(kind) is Reasoning for kind in again.reasoning)


@given(reports)
@settings(max_examples=30, derandomize=True, deadline=None, database=None)
def test_a_report_s_scores_are_those_of_its_steps(report: Report) -> None:
    assert report.scores == SolutionScores.of([step.score for step in report.steps])


@pytest.mark.parametrize(
    ("verdicts", "votes", "majority"),
    [
        ([], (0, 0, 0), "unparsed"),
        ([None, None], (0, 0, 2), "unparsed"),
        (["yes"], (1, 0, 0), "correct"),
        (["no", None, None], (0, 1, 2), "incorrect"),
        (["yes", "no"], (1, 1, 0), "correct"),
        (["no", "yes", "no", None], (1, 2, 1), "incorrect"),
    ],
)
def test_written_verdicts_are_votes(
    verdicts: list[Verdict | None], votes: tuple[int, int, int], majority: Label
) -> None:
    """Whatever the scores say, and without paths that do not count."""
    members = tuple(
        VerificationPath(index=i, verdict=verdict, score=None if verdict is None else 0.5, text="")
        for i, verdict in enumerate(verdicts)
    )
    other = (VerificationPath(index=9, verdict="no", score=0.0, text=""),) * 5
    step = StepResult(
        index=0, text="s", label="incorrect", score=0.1, paths=members, cheaper=other, extra=other
    )
    assert step.votes == votes
    assert (step.votes.yes, step.votes.no, step.votes.unparsed) == votes
    assert step.majority == majority


def test_results_cannot_be_changed() -> None:
    usage = Usage(prompt_tokens=1)
    with pytest.raises(ValidationError):
        usage.prompt_tokens = 2  # type: ignore[misc]


APART: dict[str, tuple[Any, Any, Any]] = {
    "cache_peak": (3, 5, 5),
    "code_failures": (
        {"error": 1, "timeout": 2},
        {"error": 3, "memory": 4},
        {"error": 4, "timeout": 2, "memory": 4},
    ),
}


@pytest.mark.parametrize("name", Usage.model_fields)
def test_every_part_of_a_usage_adds_up(name: str) -> None:
    """A field that is left out of the sum, or added where its larger value is meant, fails here."""
    one, other, both = APART.get(name, (3, 5, 8))
    for first, second in ((one, other), (other, one)):
        assert Usage(**{name: first}) + Usage(**{name: second}) == Usage(**{name: both})


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(usages, usages, usages)
def test_usages_add_up_in_any_order(one: Usage, two: Usage, three: Usage) -> None:
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + Usage() == one


def test_adding_a_usage_leaves_its_parts_alone() -> None:
    one = Usage(code_failures={"error": 1})
    total = Usage() + one
    total.code_failures["error"] = 7
    assert one.code_failures == {"error": 1}
    assert Usage().code_failures == {}


def test_occupancy_is_companions_a_run() -> None:
    assert Usage().occupancy == 0
    assert (Usage(model_runs=1, companions=4) + Usage(model_runs=3, companions=2)).occupancy == 1.5


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


def refusal(steps: Any, problem: Any = None, id: Any = None) -> str:
    with pytest.raises(InputError) as caught:
        Solution.of(steps, problem, id)
    return str(caught.value)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("a\0", "holds a NUL byte"),
        ("a\ud800", "holds half a surrogate pair"),
        ("\udfffé", "holds half a surrogate pair"),
        ("a" * (MOST_CHARACTERS + 1), "has 1,000,001 characters, and at most 1,000,000 are taken"),
        (" \n\t", "is blank"),
        ("", "is blank"),
    ],
    ids=["nul", "high", "low", "long", "white", "empty"],
)
def test_a_text_that_cannot_be_read_is_named(bad: str, message: str) -> None:
    assert refusal(["a", bad, "c"]).startswith(f"step 1 {message}")
    assert refusal(["a"], bad).startswith(f"the problem {message}")


@pytest.mark.parametrize("bad", [None, 3, b"a", ["a"]])
def test_what_is_no_text_is_named(bad: Any) -> None:
    kind = type(bad).__name__
    assert refusal(["a", "b", bad]) == f"step 2 must be text, not {kind}"
    if bad is not None:
        assert refusal(["a"], bad) == f"the problem must be text, not {kind}"


@pytest.mark.parametrize("bad", [3, ["a"], 1.5])
def test_an_identifier_that_is_no_text_is_named(bad: Any) -> None:
    assert refusal(["a"], id=bad).startswith("id: ")


def test_a_record_is_not_its_keys() -> None:
    record: dict[str, Any] = {"problem": "p", "steps": ["a"]}
    assert refusal(record).startswith("steps must be text or a list of texts, not a record: give its steps")


@pytest.mark.parametrize("steps", [3, None, 1.5, {"a"}, Usage()])
def test_steps_are_text_or_a_list(steps: Any) -> None:
    assert refusal(steps) == f"steps must be text or a list of texts, not {type(steps).__name__}"


@pytest.mark.parametrize("steps", [[], "", " \n\n ", iter(())])
def test_a_solution_has_a_step(steps: Any) -> None:
    assert refusal(steps) == "there are no steps: a solution needs at least one"


def test_a_solution_has_steps_that_can_be_checked() -> None:
    assert refusal(["a"] * (MOST_STEPS + 1)) == "there are 4,097 steps, and at most 4,096 can be checked"
    assert refusal("a\n\n" * (MOST_STEPS + 1)).startswith("there are 4,097 steps")


def test_as_much_as_can_be_checked_is_taken() -> None:
    assert len(Solution.of(["a"] * MOST_STEPS).steps) == MOST_STEPS
    longest = "é " * (MOST_CHARACTERS // 2)
    assert Solution.of([longest], longest).problem == longest


def test_a_long_text_of_long_runs_is_read_once() -> None:
    runs = f"{'a' * LONGEST_RUN} " * 90
    assert Solution.of([runs]).steps == (runs,)


@thorough
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4))
def test_every_other_text_is_a_step(steps: list[str]) -> None:
    if steps and all(map(str.strip, steps)):
        assert Solution.of(steps).steps == tuple(steps)
    else:
        with pytest.raises(InputError, match=r"no steps|is blank"):
            Solution.of(steps)


@pytest.mark.parametrize("run", ["a", "7", " ", "(", "_", "é"])
def test_a_run_that_tokenizers_fail_on_names_its_step(run: str) -> None:
    Solution(steps=(f"x{run * 10_000}" if run.isspace() else f"x {run * 10_000}",))
    with pytest.raises(InputError, match=r"step 1 holds more than 10,000 characters without a break"):
        Solution.of(["x", f"x{run * 10_001}y"])
