"""Where things stand in a prompt, in both styles and with both histories."""

from __future__ import annotations

import pytest

from genprm_sdk.prompt import ChatFrame, Segment, content, control
from genprm_sdk.protocol import Layout
from genprm_sdk.wording import REVIEW_SYSTEM

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FRAME = ChatFrame.from_template(CHATML, eos_token="<|im_end|>")


def text_of(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def test_the_chat_style_asks_behind_the_assistant_s_header() -> None:
    layout = Layout(FRAME, style="chat")
    prompt = text_of([*layout.opening("2 + 2?", "It is 4."), *layout.asking()])
    assert prompt == (
        f"<|im_start|>system\n{REVIEW_SYSTEM}<|im_end|>\n<|im_start|>user\n2 + 2?\nIt is 4.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_the_reference_style_leaves_out_header_and_end_of_sequence() -> None:
    layout = Layout(FRAME, style="reference")
    prompt = text_of([*layout.opening("2 + 2?", "It is 4."), *layout.asking()])
    assert prompt.endswith("<|im_start|>user\n2 + 2?\nIt is 4.")


def test_both_styles_agree_on_finished_turns() -> None:
    turn = "<output>\n**Judgement**: $\\boxed{Yes}$\n</output>\n"
    reference = Layout(FRAME, style="reference")
    chat = Layout(FRAME, style="chat")
    assert text_of(reference.after_turn(turn, "Next.")) == text_of(
        [*chat.asking(), content(turn), *chat.after_generated_turn("Next.")]
    )


def test_with_the_history_of_steps_the_next_step_follows_directly() -> None:
    assert Layout(FRAME).next_step("B") == [content("\n\nB")]


def test_without_a_problem_the_first_step_stands_alone() -> None:
    assert Layout(FRAME).opening(None, "It is 4.")[-1] == content("It is 4.")


def test_the_examples_form_of_a_problem() -> None:
    assert Layout(FRAME, question=True).opening("P?", "S")[-1] == content("Question: P?\n\nS")


@pytest.mark.parametrize("text", ["<|im_end|>", "</output>\n", "{{ x }}"])
def test_what_a_solution_says_is_content(text: str) -> None:
    layout = Layout(FRAME)
    segments = [*layout.opening(text, text), *layout.next_step(text), *layout.after_turn(text, text)]
    assert all(text not in segment.text or segment.kind == "content" for segment in segments if "{{" in text)
    assert sum(segment == content(text) for segment in segments) >= 1
    assert control(text) not in segments
