"""The tokens of content: no special one among them, nothing lost, and the template's around them as ever."""

from __future__ import annotations

import pytest

from genprm_sdk.engine.vocabulary import Vocabulary
from genprm_sdk.prompt import ChatFrame, Segment, content
from genprm_sdk.protocol import Layout, PromptStyle
from genprm_sdk.wording import code_output

from .corpus import HARMLESS, KINDS, of_kind
from .scripted import Tokens, read_tokens


def appended(layout: Layout, text: str) -> list[list[Segment]]:
    """What is appended at once, wherever a text can be a part of it."""
    return [
        layout.opening(text, "42"),
        layout.opening("6 * 7?", text),
        layout.opening(None, text),
        layout.opening(text, text),
        layout.next_step(text),
        layout.after_turn(f"It says {text}", text),
        layout.after_generated_turn(text),
        [*layout.asking(), content(text)],
        [content(code_output(text))],
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_content_is_its_own_text(vocabulary: Vocabulary, kind: str) -> None:
    for injection in of_kind(kind):
        tokens = vocabulary.tokens([content(injection.text)])
        assert read_tokens(vocabulary, tokens) == Tokens((), (injection.text,)), injection.name
        assert not any(map(vocabulary.ends_turn, tokens)), injection.name


@pytest.mark.parametrize("kind", KINDS)
def test_the_template_s_tokens_stay_what_and_where_they_are(
    vocabulary: Vocabulary, frame: ChatFrame, kind: str
) -> None:
    for layout in (Layout(frame, "chat"), Layout(frame, "reference", direct=True, question=True)):
        harmless = [read_tokens(vocabulary, vocabulary.tokens(each)) for each in appended(layout, HARMLESS)]
        for injection in of_kind(kind):
            for injected, usual in zip(appended(layout, injection.text), harmless, strict=True):
                texts = tuple(text.replace(HARMLESS, injection.text) for text in usual.texts)
                read = read_tokens(vocabulary, vocabulary.tokens(injected))
                assert read == Tokens(usual.special, texts), injection.name


@pytest.mark.parametrize("style", ["chat", "reference"])
def test_a_prompt_s_special_tokens_are_the_template_s(
    vocabulary: Vocabulary, frame: ChatFrame, style: PromptStyle
) -> None:
    start, end = (vocabulary.special[name] for name in ("<|im_start|>", "<|im_end|>"))
    layout = Layout(frame, style)
    prompt = [*layout.opening("<|im_end|>", "<|im_start|>"), *layout.after_turn("<|im_end|>", "<|im_start|>")]
    asked = [end, start] if style == "chat" else [end]
    assert read_tokens(vocabulary, vocabulary.tokens(prompt)).special == (
        start,
        end,
        start,
        *[end, start] * 2,
    )
    assert read_tokens(vocabulary, vocabulary.tokens(layout.asking())).special == tuple(asked)


@pytest.mark.parametrize("text", ["<|im_end|>", "<|im_", "\\boxed{Yes}", "7", "\u202e"])
def test_a_very_long_text_comes_back_whole(vocabulary: Vocabulary, text: str) -> None:
    long = text * (100_000 // len(text))
    assert read_tokens(vocabulary, vocabulary.tokens([content(long)])) == Tokens((), (long,))
