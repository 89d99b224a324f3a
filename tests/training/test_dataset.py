"""Rows of tokens: the protocol's exact text, and loss on nothing but what the model writes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from genprm_sdk import wording
from genprm_sdk.training.dataset import (
    TRUNK_WEIGHT,
    WITHOUT_PROBLEM,
    Mix,
    choose_steps,
    encode_conversation,
    encode_verifications,
    example_texts,
)
from genprm_sdk.training.packing import Row
from genprm_sdk.training.tokenizer import SPECIAL_TOKENS
from genprm_sdk.training.worlds import WORLDS, Example, Rationale, WorldStep

EXECUTED = Mix(unexecuted=0, analysis_only=0, code_only=0, rewritten=0)
WAYS = {
    "executed": EXECUTED,
    "unexecuted": Mix(unexecuted=1, analysis_only=0, code_only=0, rewritten=0),
    "analysis_only": Mix(unexecuted=0, analysis_only=1, code_only=0, rewritten=0),
    "code_only": Mix(unexecuted=0, analysis_only=0, code_only=1, rewritten=0),
    "direct": Mix(direct=1),
}
REWRITTEN = Mix(unexecuted=0, analysis_only=0, code_only=0, rewritten=1)

TRUNK, FORCED, WRITTEN = TRUNK_WEIGHT, 0.0, 1.0


def example() -> Example:
    right = Rationale("It adds 1 and 2.", "v = 1 + 2\nprint(v, v == 3)", "3 True", "The code prints True.")
    wrong = Rationale("It adds 4.", "v = 3 + 4\nprint(v, v == 8)", "7 False", "The code prints False.")
    return Example(
        "word_problems",
        "Ana has 1 and 2 eggs, and 4.",
        (WorldStep("1 + 2 = 3", True, right), WorldStep("3 + 4 = 8", False, wrong, "slip")),
    )


def encode_step(example: Example, index: int, tokenizer: Tokenizer, mix: Mix, rng: random.Random) -> Row:
    """The verification of one step as the one row that the model sees."""
    tree = encode_verifications(example, [index], tokenizer, mix, rng)
    assert tree is not None
    assert len(tree.branches) == 1
    assert tree.branches[0].at == len(tree.trunk)
    branch = tree.branches[0].row
    return Row(tree.trunk.ids + branch.ids, tree.trunk.weights + branch.weights)


def spans(tokenizer: Tokenizer, row: Row) -> Iterator[tuple[float, str]]:
    """The row as text, cut where the weight changes."""
    pairs = zip(row.ids, row.weights, strict=True)
    for weight, group in groupby(pairs, key=lambda pair: pair[1]):
        yield weight, tokenizer.decode([index for index, _ in group], skip_special_tokens=False)


# Written out by hand, not put together from genprm_sdk.wording: this is what a trained model depends on.
SYSTEM = (
    "<|im_start|>system\nYou are a math teacher. Your task is to review and critique the paragraphs in"
    " solution step by step.<|im_end|>\n<|im_start|>user\nAna has 1 and 2 eggs, and 4.\n1 + 2 = 3"
)
SECOND = f"{SYSTEM}\n\n3 + 4 = 8"
TURN = "<|im_end|>\n<|im_start|>assistant\n"
ANALYZE = "<analyze>\nLet's analyze the Paragraph 2 step by step: "
VERIFY = "<verify>\nLet's use python code to find any potential error:\n```python\n"
OUTPUT = "<output>\n**Judgement**: $\\boxed"
CODE = "v = 3 + 4\nprint(v, v == 8)\n```\n"
RESULT = "[Code Output]\n\n```\n7 False\n```\n"
NO = "{No}$\n</output>\n"


def test_analysis_and_executed_code(tokenizer: Tokenizer) -> None:
    row = encode_step(example(), 1, tokenizer, EXECUTED, random.Random(0))
    assert list(spans(tokenizer, row)) == [
        (TRUNK, SECOND),
        (FORCED, TURN + ANALYZE),
        (WRITTEN, "It adds 4.\n</analyze>\n"),
        (FORCED, VERIFY),
        (WRITTEN, CODE),
        (FORCED, RESULT),
        (WRITTEN, f"The code prints False.\n</verify>\n{OUTPUT}{NO}"),
    ]


def test_code_that_is_not_executed(tokenizer: Tokenizer) -> None:
    row = encode_step(example(), 1, tokenizer, WAYS["unexecuted"], random.Random(0))
    assert list(spans(tokenizer, row)) == [
        (TRUNK, SECOND),
        (FORCED, TURN + ANALYZE),
        (WRITTEN, "It adds 4.\n</analyze>\n"),
        (FORCED, VERIFY),
        (WRITTEN, f"{CODE}</verify>\n{OUTPUT}{NO}"),
    ]


def test_analysis_only(tokenizer: Tokenizer) -> None:
    row = encode_step(example(), 1, tokenizer, WAYS["analysis_only"], random.Random(0))
    assert list(spans(tokenizer, row)) == [
        (TRUNK, SECOND),
        (FORCED, TURN + ANALYZE),
        (WRITTEN, "It adds 4.\n</analyze>\n"),
        (FORCED, OUTPUT),
        (WRITTEN, NO),
    ]


def test_code_only_and_a_right_first_step(tokenizer: Tokenizer) -> None:
    row = encode_step(example(), 0, tokenizer, WAYS["code_only"], random.Random(0))
    assert list(spans(tokenizer, row)) == [
        (TRUNK, SYSTEM),
        (FORCED, TURN + VERIFY),
        (WRITTEN, "v = 1 + 2\nprint(v, v == 3)\n```\n"),
        (FORCED, "[Code Output]\n\n```\n3 True\n```\n"),
        (WRITTEN, f"The code prints True.\n</verify>\n{OUTPUT}{{Yes}}$\n</output>\n"),
    ]


def test_a_verdict_alone_is_asked_for_by_the_systems_text(tokenizer: Tokenizer) -> None:
    row = encode_step(example(), 1, tokenizer, WAYS["direct"], random.Random(0))
    asked = SECOND.replace(wording.REVIEW_SYSTEM, wording.DIRECT_SYSTEM)
    assert asked != SECOND
    assert list(spans(tokenizer, row)) == [(TRUNK, asked), (FORCED, TURN + OUTPUT), (WRITTEN, NO)]


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def test_every_append_is_tokenised_by_itself(tokenizer: Tokenizer) -> None:
    """The ids of the whole are those of its runs, in the cuts in which the protocol appends them."""
    _, start, end = (tokenizer.token_to_id(token) for token in SPECIAL_TOKENS)
    row = encode_step(example(), 1, tokenizer, EXECUTED, random.Random(0))
    expected = [start]
    expected += encode(tokenizer, SYSTEM.split("<|im_end|>")[0].removeprefix("<|im_start|>"))
    expected += [end, *encode(tokenizer, "\n"), start]
    expected += encode(tokenizer, "user\nAna has 1 and 2 eggs, and 4.\n1 + 2 = 3")
    expected += encode(tokenizer, "\n\n3 + 4 = 8")
    expected += [end, *encode(tokenizer, "\n"), start]
    expected += encode(tokenizer, f"assistant\n{ANALYZE}")
    for text in (
        "It adds 4.\n</analyze>\n",
        VERIFY,
        CODE,
        RESULT,
        f"The code prints False.\n</verify>\n{OUTPUT}{NO}",
    ):
        expected += encode(tokenizer, text)
    assert row.ids == expected


def test_what_a_step_spells_is_never_a_special_token(tokenizer: Tokenizer) -> None:
    rationale = example().steps[0].rationale
    hostile = Example(
        "word_problems", "<|endoftext|>", (WorldStep("<|im_end|>\n<|im_start|>", True, rationale),)
    )
    row = encode_step(hostile, 0, tokenizer, EXECUTED, random.Random(0))
    honest = encode_step(example(), 0, tokenizer, EXECUTED, random.Random(0))
    for token in SPECIAL_TOKENS:
        index = tokenizer.token_to_id(token)
        assert row.ids.count(index) == honest.ids.count(index)


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.sampled_from(sorted(WORLDS)), st.integers(0, 2**32), st.sampled_from(sorted(WAYS)))
def test_any_row_has_its_texts(tokenizer: Tokenizer, name: str, seed: int, way: str) -> None:
    rng = random.Random(seed)
    drawn = WORLDS[name].example(rng)
    index = choose_steps(drawn, rng, 1)[0]
    row = encode_step(drawn, index, tokenizer, WAYS[way], rng)
    assert len(row) == len(row.ids) == len(row.weights)
    cut = list(spans(tokenizer, row))
    assert [weight for weight, _ in cut][:2] == [TRUNK, FORCED]
    step = drawn.steps[index]
    trunk = "\n\n".join(step.text for step in drawn.steps[: index + 1])
    assert cut[0][1].endswith(trunk)
    written = "".join(text for weight, text in cut if weight == WRITTEN)
    unwritten = "".join(text for weight, text in cut if weight != WRITTEN)
    assert written.endswith(f"{{{'Yes' if step.correct else 'No'}}}$\n</output>\n")
    assert ("[Code Output]" in unwritten) == (way in ("executed", "code_only"))
    assert "[Code Output]" not in written
    for later in drawn.steps[index + 1 :]:
        if len(later.text) > 40 and later.text not in drawn.problem + trunk:
            assert later.text not in unwritten + written


def test_the_mix_is_kept(tokenizer: Tokenizer) -> None:
    rng = random.Random(0)
    texts = []
    for _ in range(1500):
        row = encode_step(example(), 1, tokenizer, Mix(), rng)
        texts.append("".join(text for _, text in spans(tokenizer, row)))
    counts = {
        "code_only": sum("<analyze>" not in text for text in texts),
        "analysis_only": sum("<verify>" not in text for text in texts),
        "unexecuted": sum("<verify>" in text and "[Code Output]" not in text for text in texts),
    }
    assert all(0.03 < count / len(texts) < 0.07 for count in counts.values()), counts


def test_a_share_of_the_solutions_is_verified_directly(tokenizer: Tokenizer) -> None:
    rng = random.Random(0)
    direct = 0
    for _ in range(400):
        tree = encode_verifications(example(), [0, 1], tokenizer, Mix(direct=0.3), rng)
        assert tree is not None
        told = "solution directly" in tokenizer.decode(tree.trunk.ids)
        for branch in tree.branches:
            assert ("<analyze>" not in tokenizer.decode(branch.row.ids)[:40]) >= told
        direct += told
    assert 0.24 < direct / 400 < 0.36


def test_the_problem_is_left_out_only_where_it_is_not_needed(tokenizer: Tokenizer) -> None:
    rng = random.Random(0)
    left_out = 0
    for _ in range(600):
        drawn = WORLDS["arithmetic"].example(rng)
        index = rng.randrange(len(drawn.steps))
        row = encode_step(drawn, index, tokenizer, EXECUTED, rng)
        trunk = next(spans(tokenizer, row))[1]
        if f"user\n{drawn.problem}\n" not in trunk:
            assert index > 0
            assert f"user\n{drawn.steps[0].text}\n\n" in trunk
            left_out += 1
    assert 0 < left_out < 3 * WITHOUT_PROBLEM * 600
    for _ in range(300):
        drawn = WORLDS["word_problems"].example(rng)
        row = encode_step(drawn, len(drawn.steps) - 1, tokenizer, EXECUTED, rng)
        assert f"user\n{drawn.problem}\n" in next(spans(tokenizer, row))[1]


def with_setup() -> Example:
    """``n`` is extracted in the first step's code and used in the second's."""
    one = Rationale("It names n.", "print(n, n == 3)", "3 True", "The code prints True.")
    two = Rationale("It adds.", "v = n + 4\nprint(v, v == 7)", "7 True", "The code prints True.")
    return Example(
        "tracking", "n is 3.", (WorldStep("n = 3", True, one), WorldStep("3 + 4 = 7", True, two)), "n = 3\n"
    )


def text_of(tokenizer: Tokenizer, row: Row) -> str:
    return "".join(text for _, text in spans(tokenizer, row))


def test_the_set_up_stands_before_the_first_steps_code_alone(tokenizer: Tokenizer) -> None:
    first = text_of(tokenizer, encode_step(with_setup(), 0, tokenizer, EXECUTED, random.Random(0)))
    second = text_of(tokenizer, encode_step(with_setup(), 1, tokenizer, EXECUTED, random.Random(0)))
    assert "```python\nn = 3\nprint(n, n == 3)\n```\n" in first
    assert "```python\nv = n + 4\nprint(v, v == 7)\n```\n" in second


def test_code_that_fails_is_written_again_with_what_was_missing(tokenizer: Tokenizer) -> None:
    """Both ways in which code of small models fails: a mark is lost, or the set-up is."""
    seen = set()
    for seed in range(60):
        row = encode_step(with_setup(), 1, tokenizer, REWRITTEN, random.Random(seed))
        written = [text for weight, text in spans(tokenizer, row) if weight == WRITTEN]
        unwritten = "".join(text for weight, text in spans(tokenizer, row) if weight == FORCED)
        if "Code execute Error: NameError: name 'n' is not defined" in unwritten:
            seen.add("name")
        elif "Code execute Error: SyntaxError: " in unwritten:
            seen.add("syntax")
        else:
            seen.add("runs")
            continue
        assert written[1] == "The code fails.\n```python\nn = 3\nv = n + 4\nprint(v, v == 7)\n```\n"
        assert "[Code Output]\n\n```\n7 True\n```\n" in unwritten
    assert {"name", "syntax"} <= seen


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.sampled_from(sorted(WORLDS)), st.integers(0, 2**32))
def test_a_tree_holds_the_rows_of_its_steps(tokenizer: Tokenizer, name: str, seed: int) -> None:
    example = WORLDS[name].example(random.Random(seed))
    chosen = choose_steps(example, random.Random(seed), 4)
    tree = encode_verifications(example, chosen, tokenizer, EXECUTED, random.Random(seed))
    assert tree is not None
    assert len(tree.branches) == len(chosen)
    assert tree.branches[-1].at == len(tree.trunk)
    for index, branch in zip(chosen, tree.branches, strict=True):
        alone = encode_step(example, index, tokenizer, EXECUTED, random.Random(seed))
        if name != "arithmetic":  # where the problem is sometimes left out
            assert tree.trunk.ids[: branch.at] + branch.row.ids == alone.ids


def test_verifications_that_are_too_long_are_left_out(tokenizer: Tokenizer) -> None:
    whole = encode_verifications(example(), [0, 1], tokenizer, EXECUTED, random.Random(0))
    assert whole is not None
    first, second = (branch.at + len(branch.row) for branch in whole.branches)
    assert first < second
    cut = encode_verifications(example(), [0, 1], tokenizer, EXECUTED, random.Random(0), longest=first)
    assert cut is not None
    assert [branch.at for branch in cut.branches] == [len(cut.trunk)]
    assert encode_verifications(example(), [0, 1], tokenizer, EXECUTED, random.Random(0), longest=9) is None


FIRST_TURN = [
    (FORCED, TURN + ANALYZE.replace("Paragraph 2", "Paragraph 1")),
    (WRITTEN, "It adds 1 and 2.\n</analyze>\n"),
    (FORCED, VERIFY),
    (WRITTEN, "v = 1 + 2\nprint(v, v == 3)\n```\n"),
    (FORCED, "[Code Output]\n\n```\n3 True\n```\n"),
    (WRITTEN, f"The code prints True.\n</verify>\n{OUTPUT}{{Yes}}$\n</output>\n"),
]


def test_a_conversation_holds_the_verifications_of_the_steps_before(tokenizer: Tokenizer) -> None:
    tree = encode_conversation(example(), tokenizer, EXECUTED, random.Random(0))
    assert tree is not None
    assert not tree.branches
    assert list(spans(tokenizer, tree.trunk)) == [
        (TRUNK, SYSTEM),
        *FIRST_TURN,
        (TRUNK, "<|im_end|>\n<|im_start|>user\n3 + 4 = 8"),
        (FORCED, TURN + ANALYZE),
        (WRITTEN, "It adds 4.\n</analyze>\n"),
        (FORCED, VERIFY),
        (WRITTEN, CODE),
        (FORCED, RESULT),
        (WRITTEN, f"The code prints False.\n</verify>\n{OUTPUT}{NO}"),
    ]


def test_a_conversation_ends_with_the_last_step_that_fits(tokenizer: Tokenizer) -> None:
    whole = encode_conversation(example(), tokenizer, EXECUTED, random.Random(0))
    assert whole is not None
    cut = encode_conversation(example(), tokenizer, EXECUTED, random.Random(0), longest=len(whole.trunk) - 1)
    assert cut is not None
    assert list(spans(tokenizer, cut.trunk)) == [(TRUNK, SYSTEM), *FIRST_TURN]
    assert encode_conversation(example(), tokenizer, EXECUTED, random.Random(0), longest=9) is None


def test_a_conversation_of_verdicts_alone(tokenizer: Tokenizer) -> None:
    tree = encode_conversation(example(), tokenizer, WAYS["direct"], random.Random(0))
    assert tree is not None
    assert list(spans(tokenizer, tree.trunk)) == [
        (TRUNK, SYSTEM.replace(wording.REVIEW_SYSTEM, wording.DIRECT_SYSTEM)),
        (FORCED, TURN + OUTPUT),
        (WRITTEN, NO.replace("No", "Yes")),
        (TRUNK, "<|im_end|>\n<|im_start|>user\n3 + 4 = 8"),
        (FORCED, TURN + OUTPUT),
        (WRITTEN, NO),
    ]


def test_choose_steps() -> None:
    rng = random.Random(0)
    assert {tuple(choose_steps(example(), rng, 1)) for _ in range(50)} == {(1,)}  # the wrong one
    assert choose_steps(example(), rng, 5) == [0, 1]
    drawn = [choose_steps(with_setup(), rng, 1) for _ in range(400)]
    assert 0.65 < drawn.count([0]) / len(drawn) < 0.85
    many = Example("dyck", "p", tuple(replace(example().steps[1], text=str(n)) for n in range(20)))
    for _ in range(50):
        assert len(choose_steps(many, rng, 6)) == 6


@pytest.mark.parametrize("name", WORLDS)
def test_the_vocabulary_is_learnt_from_text_without_special_tokens(name: str) -> None:
    rng = random.Random(1)
    texts = example_texts(WORLDS[name].example(rng), rng)
    assert any("You are a math teacher." in text for text in texts)
    assert any("print(" in text for text in texts)
    assert not any(token in text for text in texts for token in SPECIAL_TOKENS)
