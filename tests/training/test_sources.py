"""What a training draws: worlds in their shares, and the solver's attempts from the second round on."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer

from genprm_sdk.training.dataset import Mix
from genprm_sdk.training.packing import Row, Tree
from genprm_sdk.training.recipe import Recipe
from genprm_sdk.training.sft import TreeSource
from genprm_sdk.training.solving import Attempt
from genprm_sdk.training.sources import probes_of, source_of
from genprm_sdk.training.tokenizer import SPECIAL_TOKENS
from genprm_sdk.training.worlds import WORLDS

MARK = "Tamburlaine"


def recipe(role: str, **changes: object) -> Recipe:
    fields = {
        "model": "tiny",
        "role": role,
        "vocabulary": {"size": 768},
        "shape": {"vocabulary": 768},
        "schedule": {"steps": 10},
        "shares": {"arithmetic": 1.0, "tracking": 3.0},
        "attempts": {"from_step": 5, "share": 0.5},
    }
    return Recipe.model_validate({**fields, **changes})


def attempts() -> list[Attempt]:
    """Readable attempts, right and wrong ones, of problems that hold a mark."""
    made = []
    for seed in range(60):
        example = WORLDS["tracking"].example(random.Random(seed), "solver")
        steps = tuple(step.text for step in example.steps)
        someone = steps[0].split(": ")[2]
        made.append(
            Attempt(
                "tracking",
                example.problem.replace(someone, MARK),
                tuple(step.replace(someone, MARK) for step in steps),
                tuple(step.replace(someone, MARK) for step in steps),
            )
        )
    return made


def texts(source: TreeSource, tokenizer: Tokenizer, step: int, count: int = 200) -> list[str]:
    rng = random.Random(step)
    trees = (source(rng, step, 4000) for _ in range(count))
    return [tokenizer.decode(tree.trunk.ids, skip_special_tokens=False) for tree in trees if tree is not None]


@pytest.mark.parametrize("role", ["verifier", "policy"])
def test_attempts_are_drawn_from_their_step_on(tokenizer: Tokenizer, role: str) -> None:
    source = source_of(recipe(role), tokenizer, attempts())
    assert not any(MARK in text for text in texts(source, tokenizer, 4))
    later = texts(source, tokenizer, 5)
    assert 0.35 < sum(MARK in text for text in later) / len(later) < 0.65
    if role == "policy":
        assert all(("There might be some problem" in text) == (MARK in text) for text in later)
        worlds = sum("swap" not in text and MARK not in text for text in texts(source, tokenizer, 4))
        assert worlds > 20
    else:
        assert all("<|im_start|>assistant" not in text for text in later)


def test_worlds_are_drawn_in_their_shares(tokenizer: Tokenizer) -> None:
    drawn = texts(source_of(recipe("verifier"), tokenizer), tokenizer, 0, count=300)
    arithmetic = sum("At the" not in text for text in drawn)
    assert 0.15 < arithmetic / len(drawn) < 0.35


def test_distinct_examples_come_again_and_again(tokenizer: Tokenizer) -> None:
    def problems(role: str, seed: int) -> set[str]:
        few = recipe(
            role,
            shares={"tracking": 1},
            attempts=None,
            distinct=3,
            schedule={"steps": 10, "seed": seed},
        )
        drawn = texts(source_of(few, tokenizer), tokenizer, 0, count=100)
        return {text.split("user\n")[1][:150] for text in drawn}

    for role in ("verifier", "policy"):
        assert len(problems(role, 0)) == 3
        assert not problems(role, 0) & problems(role, 1)


def test_a_verifier_may_see_its_earlier_rationales(tokenizer: Tokenizer) -> None:
    seeing = recipe("verifier", history="rationales", mix={"code_only": 1, "unexecuted": 0})
    for text in texts(source_of(seeing, tokenizer), tokenizer, 0, count=20):
        assert text.count("<|im_start|>user") == text.count("**Judgement**: $\\boxed{") > 1
    for trees in probes_of(seeing, tokenizer, count=2).values():
        assert all("<|im_end|>" in tokenizer.decode(tree.trunk.ids, False) for tree in trees)
        assert not any(tree.branches for tree in trees)


def test_a_mix_of_one_way_is_that_reasoning() -> None:
    assert Mix().reasoning == Mix(direct=0.5, analysis_only=0.5).reasoning == "analysis+code"
    assert Mix(direct=1).reasoning == "direct"
    assert Mix(analysis_only=1).reasoning == "analysis"
    assert Mix(code_only=1).reasoning == "code"
    assert Mix(unexecuted=1).reasoning == "analysis+code-unexecuted"


@pytest.mark.parametrize("way", ["direct", "analysis_only", "code_only"])
def test_probes_ask_for_what_is_trained(tokenizer: Tokenizer, way: str) -> None:
    probes = probes_of(recipe("verifier", mix={way: 1, "unexecuted": 0}), tokenizer, count=2)
    for tree in (tree for trees in probes.values() for tree in trees):
        written = tokenizer.decode(tree.branches[0].row.ids)
        assert ("<analyze>" in written) == (way == "analysis_only")
        assert ("<verify>" in written) == (way == "code_only")


def test_a_tree_is_a_function_of_generator_and_step(tokenizer: Tokenizer) -> None:
    source = source_of(recipe("verifier"), tokenizer, attempts())
    for step in (0, 7):
        assert source(random.Random(3), step, 2000) == source(random.Random(3), step, 2000)


def test_trees_are_no_longer_than_asked(tokenizer: Tokenizer) -> None:
    for changed in (recipe("verifier"), recipe("verifier", history="rationales"), recipe("policy")):
        source = source_of(changed, tokenizer, attempts())
        rng = random.Random(0)
        trees = [source(rng, 6, 400) for _ in range(200)]
        assert None in trees
        for tree in trees:
            if tree is not None:
                ends = [branch.at + len(branch.row) for branch in tree.branches] or [len(tree.trunk)]
                assert max(ends) <= 400


def test_missing_or_useless_attempts_are_an_error(tokenizer: Tokenizer) -> None:
    source = source_of(recipe("verifier"), tokenizer)
    with pytest.raises(ValueError, match="from step 5 on the recipe needs the solver's attempts"):
        texts(source, tokenizer, 5)
    for useless in ([], [Attempt("tracking", "x", ("Step 1: y",), ("Step 1: y",))]):
        with pytest.raises(ValueError, match="none of the attempts is wrong"):
            source_of(recipe("verifier"), tokenizer, useless)


@pytest.mark.parametrize("role", ["verifier", "policy"])
def test_probes_are_of_every_domain(tokenizer: Tokenizer, role: str) -> None:
    probes = probes_of(recipe(role), tokenizer, count=5)
    assert set(probes) == {"arithmetic", "tracking"}
    for trees in probes.values():
        assert len(trees) == 5
        for tree in trees:
            written = tree.branches[0].row if tree.branches else tree.trunk
            assert isinstance(written, Row)
            assert 1.0 in written.weights
            assert tree.trunk.ids[0] == SPECIAL_TOKENS.index("<|im_start|>")
            assert isinstance(tree, Tree)


@pytest.mark.parametrize("name", ["tracking", "dyck"])
def test_a_solver_learns_from_shorter_exercises_than_it_is_measured_on(
    tokenizer: Tokenizer, name: str
) -> None:
    measured = [len(WORLDS[name].exercise(random.Random(seed)).steps) for seed in range(40)]
    source = source_of(recipe("policy", shares={name: 1.0}, attempts=None), tokenizer)
    learnt = [text.count("Step ") for text in texts(source, tokenizer, step=0, count=40)]
    assert min(learnt) < min(measured)
