"""Rows of tokens: the protocol's exact text, and loss on nothing but what the model writes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from genprm_sdk.training.dataset import (
    TRUNK_WEIGHT,
    WITHOUT_PROBLEM,
    Mix,
    Row,
    choose_step,
    collate,
    encode_step,
    example_texts,
)
from genprm_sdk.training.tokenizer import SPECIAL_TOKENS
from genprm_sdk.training.worlds import WORLDS, Example, Rationale, WorldStep

EXECUTED = Mix(unexecuted=0, analysis_only=0, code_only=0)
WAYS = {
    "executed": EXECUTED,
    "unexecuted": Mix(unexecuted=1, analysis_only=0, code_only=0),
    "analysis_only": Mix(unexecuted=0, analysis_only=1, code_only=0),
    "code_only": Mix(unexecuted=0, analysis_only=0, code_only=1),
}

TRUNK, FORCED, WRITTEN = TRUNK_WEIGHT, 0.0, 1.0


def example() -> Example:
    right = Rationale("It adds 1 and 2.", "v = 1 + 2\nprint(v, v == 3)", "3 True", "The code prints True.")
    wrong = Rationale("It adds 4.", "v = 3 + 4\nprint(v, v == 8)", "7 False", "The code prints False.")
    return Example(
        "word_problems",
        "Ana has 1 and 2 eggs, and 4.",
        (WorldStep("1 + 2 = 3", True, right), WorldStep("3 + 4 = 8", False, wrong, "slip")),
    )


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
    index = choose_step(drawn, rng)
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
        if len(later.text) > 40:
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


def test_choose_step_prefers_wrong_ones() -> None:
    rng = random.Random(0)
    chosen = [choose_step(example(), rng) for _ in range(1000)]
    assert 0.7 < chosen.count(1) / len(chosen) < 0.8


def test_collate_shifts_targets_and_pads_behind() -> None:
    batch = collate([Row([5, 6, 7, 8], [0.1, 0.0, 1.0, 1.0]), Row([9, 4], [0.1, 1.0])])
    assert batch.ids.tolist() == [[5, 6, 7, 8], [9, 4, 0, 0]]
    assert batch.targets.tolist() == [[6, 7, 8, 0], [4, 0, 0, 0]]
    assert torch.equal(batch.weights, torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]))
    assert batch.ids.dtype == batch.targets.dtype == torch.long


def test_row_adds_up() -> None:
    row = Row()
    row.add([1, 2], 0.1)
    row.add([], 1.0)
    row.add([3], 1.0)
    assert (row.ids, row.weights, len(row)) == ([1, 2, 3], [0.1, 0.1, 1.0], 3)


@pytest.mark.parametrize("name", WORLDS)
def test_the_vocabulary_is_learnt_from_text_without_special_tokens(name: str) -> None:
    rng = random.Random(1)
    texts = example_texts(WORLDS[name].example(rng), rng)
    assert any("You are a math teacher." in text for text in texts)
    assert any("print(" in text for text in texts)
    assert not any(token in text for text in texts for token in SPECIAL_TOKENS)
