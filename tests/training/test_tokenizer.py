"""The vocabulary: whatever is copied from a step into code is the same tokens in both places."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from genprm_sdk.training.dataset import example_texts
from genprm_sdk.training.tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS, load_tokenizer, train_tokenizer
from genprm_sdk.training.worlds import WORLDS, arithmetic

thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def contains(ids: list[int], part: list[int]) -> bool:
    return any(ids[at : at + len(part)] == part for at in range(len(ids) - len(part) + 1))


def expression(seed: int) -> str:
    problem, _ = arithmetic.random_problem(random.Random(seed))
    return arithmetic.render(problem)


@thorough
@given(st.integers(0, 2**32))
def test_an_expression_is_copied_token_by_token(tokenizer: Tokenizer, seed: int) -> None:
    copied = encode(tokenizer, f" {expression(seed)}")
    for place in (
        "A = {}",
        "v == {}",
        "v = {}\nprint(v)",
        "A = {}.",
        "A = {}, and",
        '"A + B" is {} = 5',
        "v == {})",
    ):
        assert contains(encode(tokenizer, place.format(expression(seed))), copied), place


@pytest.mark.parametrize("form", ["(A * B) - (C + D)", "A * B - C + D", "(P - Q) * R"])
def test_a_form_with_letters_is_copied_token_by_token(tokenizer: Tokenizer, form: str) -> None:
    copied = encode(tokenizer, f" {form}")
    for place in ("as {}, where", "v == {}", "is {} = 3", "v = {}\nprint(v)"):
        assert contains(encode(tokenizer, place.format(form)), copied), place


@thorough
@given(st.from_regex(r"[a-z]{1,12}", fullmatch=True))
def test_a_word_is_cut_the_same_way_wherever_it_stands(tokenizer: Tokenizer, word: str) -> None:
    """A space before it may go into its first token and changes nothing else."""
    copied = encode(tokenizer, word)
    for place in ('"{}"', "({})", "\n{}", "<{} ?"):
        assert contains(encode(tokenizer, place.format(word)), copied), place
    spaced = encode(tokenizer, f"a {word}")[1:]
    assert spaced[-len(copied) + 1 :] == copied[1:] or len(copied) == 1
    assert tokenizer.decode(spaced[: len(spaced) - len(copied) + 1]).strip() in (
        "",
        tokenizer.decode(copied[:1]),
    )


def test_texts_that_give_too_few_tokens_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"give 2\d\d tokens, not 1024: take a smaller vocabulary or more"):
        train_tokenizer(["a b c"], 1024)
    with pytest.raises(ValueError, match="has at least 259 tokens, not 258"):
        train_tokenizer(["a b c"], 258)


@pytest.mark.parametrize("size", [270, 400, 512])
def test_a_small_vocabulary_has_fewer_tokens_with_a_space(size: int) -> None:
    """Cut into so few pieces, words begin with fewer of them than a large vocabulary reserves."""
    rng = random.Random("vocabulary")
    texts = [
        text
        for _ in range(20)
        for world in WORLDS.values()
        for text in example_texts(world.example(rng), rng)
    ]
    small = train_tokenizer(texts, size)
    assert small.get_vocab_size() == size
    assert small.decode(encode(small, texts[0])) == texts[0]


def test_merges_join_letters_or_white_space_and_at_most_one_mark(tokenizer: Tokenizer) -> None:
    joined = 0
    for index in range(len(SPECIAL_TOKENS), tokenizer.get_vocab_size()):
        text = tokenizer.decode([index])
        if "\ufffd" in text:
            continue  # a part of a character's bytes
        marks = [character for character in text if not character.isalpha() and not character.isspace()]
        assert len(marks) <= 1, text
        if marks and marks[0].isnumeric():
            assert text == marks[0]
        joined += len(text) > 1
    assert joined > 100


@thorough
@given(st.text())
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(encode(tokenizer, text), skip_special_tokens=False) == text


@thorough
@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "a", " ", "\n", "<|", "(1"]), max_size=6).map("".join))
def test_text_never_becomes_a_special_token(tokenizer: Tokenizer, text: str) -> None:
    ids = encode(tokenizer, text)
    assert min(ids, default=len(SPECIAL_TOKENS)) >= len(SPECIAL_TOKENS)
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_special_tokens_come_first_and_all_bytes_are_there(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2]
    assert tokenizer.get_vocab_size() == 768
    assert len(set(tokenizer.get_vocab().values())) == 768


def test_learning_is_deterministic_and_a_saved_one_is_the_same(tmp_path: Path) -> None:
    texts = [f"Let's calculate A = {expression(seed)}" for seed in range(50)]
    first, second = (train_tokenizer(iter(texts), 270, spaced=4) for _ in range(2))
    assert first.to_str() == second.to_str()
    path = tmp_path / "tokenizer.json"
    first.save(str(path))
    loaded = load_tokenizer(path)
    assert loaded.to_str() == first.to_str()
    for text in (*texts, "<|im_end|>", "é ÷ 三"):
        assert encode(loaded, text) == encode(first, text)


def test_every_message_is_shown_by_the_template_with_its_marks() -> None:
    assert all(token in CHAT_TEMPLATE for token in SPECIAL_TOKENS[1:])
