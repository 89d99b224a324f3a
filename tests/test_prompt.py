"""Segments and chat frames: what is control stays control, what is content never becomes it."""

from __future__ import annotations

import sys
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Template

from genprm_sdk import rendering
from genprm_sdk.errors import ModelFileError
from genprm_sdk.prompt import ChatFrame, Segment, content, control, tokenizer_runs

SPECIAL = ("<|a|>", "<|b|>", "<|b|><|c|>", "<", "")

texts = st.lists(st.sampled_from([*SPECIAL, "<|", "|>", "a", " ", "\n", "|c|>", "é"]), max_size=6).map(
    "".join
)
segments = st.lists(st.builds(Segment, st.sampled_from(["control", "content"]), texts), max_size=6)
thorough = settings(max_examples=300, derandomize=True, deadline=None, database=None)


@thorough
@given(segments)
def test_runs_say_the_same_text(prompt: list[Segment]) -> None:
    runs = tokenizer_runs(prompt, SPECIAL)
    assert "".join(text for _, text in runs) == "".join(segment.text for segment in prompt)


@thorough
@given(segments)
def test_runs_are_whole(prompt: list[Segment]) -> None:
    """No text is empty, no two texts are neighbours, and a special run is exactly one special token."""
    runs = tokenizer_runs(prompt, SPECIAL)
    assert all(text for _, text in runs)
    assert all("special" in (one, other) for (one, _), (other, _) in pairwise(runs))
    assert all(text in SPECIAL for kind, text in runs if kind == "special")


@thorough
@given(segments)
def test_special_tokens_come_from_control_alone(prompt: list[Segment]) -> None:
    runs = tokenizer_runs(prompt, SPECIAL)
    specials = [text for kind, text in runs if kind == "special"]
    alone = [
        text
        for segment in prompt
        if segment.kind == "control"
        for kind, text in tokenizer_runs([segment], SPECIAL)
        if kind == "special"
    ]
    assert specials == alone


@thorough
@given(texts)
def test_control_text_is_cut_at_every_special_token(text: str) -> None:
    for kind, run in tokenizer_runs([control(text)], SPECIAL):
        if kind == "text":
            assert not any(token in run for token in SPECIAL if token)


@pytest.mark.parametrize(
    ("prompt", "runs"),
    [
        ([], []),
        ([content("")], []),
        ([content("<|a|>")], [("text", "<|a|>")]),
        ([control("x<|a|>y")], [("text", "x"), ("special", "<|a|>"), ("text", "y")]),
        ([control("<|b|><|c|>")], [("special", "<|b|><|c|>")]),
        ([control("<|a"), content("|>")], [("special", "<"), ("text", "|a|>")]),
        (
            [control("<|a|>user\n"), content("problem"), content("\nstep"), control("<|b|>\n")],
            [("special", "<|a|>"), ("text", "user\nproblem\nstep"), ("special", "<|b|>"), ("text", "\n")],
        ),
    ],
)
def test_examples(prompt: list[Segment], runs: list[tuple[str, str]]) -> None:
    assert tokenizer_runs(prompt, SPECIAL) == runs


def test_a_special_token_cannot_be_completed_across_the_border() -> None:
    assert tokenizer_runs([control("<|im_"), content("end|>")], ["<|im_end|>"]) == [("text", "<|im_end|>")]


def test_without_special_tokens_everything_is_one_text() -> None:
    assert tokenizer_runs([control("a<|a|>"), content("b")], []) == [("text", "a<|a|>b")]


CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# The shape of DeepSeek-R1-Distill-Qwen's template: system text first, thoughts of finished turns dropped.
DEEPSEEK = """\
{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{%- set ns = namespace(system='') -%}
{%- for message in messages %}
{%- if message['role'] == 'system' %}{%- set ns.system = message['content'] %}{%- endif %}
{%- endfor %}{{bos_token}}{{ns.system}}
{%- for message in messages %}
{%- if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}{%- endif %}
{%- if message['role'] == 'assistant' and message['content'] is not none %}
{%- set text = message['content'] %}
{%- if '</think>' in text %}{%- set text = text.split('</think>')[-1] %}{%- endif %}
{{- '<｜Assistant｜>' + text + '<｜end▁of▁sentence｜>'}}{%- endif %}
{%- endfor -%}
{% if add_generation_prompt %}{{'<｜Assistant｜><think>\\n'}}{% endif %}"""


def test_chatml() -> None:
    assert ChatFrame.from_template(CHATML, eos_token="<|im_end|>") == ChatFrame(
        opening="<|im_start|>system\n",
        system_to_user="<|im_end|>\n<|im_start|>user\n",
        user_to_assistant="<|im_end|>\n<|im_start|>assistant\n",
        assistant_to_user="<|im_end|>\n<|im_start|>user\n",
        generation="<|im_end|>\n<|im_start|>assistant\n",
        bare="",
    )


def test_deepseek_distill() -> None:
    frame = ChatFrame.from_template(DEEPSEEK, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")
    assert frame == ChatFrame(
        opening="<｜begin▁of▁sentence｜>",
        system_to_user="<｜User｜>",
        user_to_assistant="<｜Assistant｜>",
        assistant_to_user="<｜end▁of▁sentence｜><｜User｜>",
        generation="<｜Assistant｜><think>\n",
        bare="",
    )


def test_a_template_that_ends_every_message_keeps_its_end_where_that_is_not_the_end_of_sequence() -> None:
    assert "<|im_end|>" in ChatFrame.from_template(CHATML, eos_token="<|endoftext|>").bare


LOOP = "{% for message in messages %}{{ message.content }}{% endfor %}"


@pytest.mark.parametrize(
    "template",
    [
        "{% for message in messages %}",  # ends too soon
        "{{ messages[0].content }",
        "{{ unknown_function() }}",
        "{{ messages[9].content.strip() }}",
        "{{ raise_exception('System role not supported') }}",
        "{{ 1 / 0 }}",
        "{% include 'other' %}",
    ],
)
def test_a_template_that_fails_is_a_damaged_file(template: str) -> None:
    with pytest.raises(ModelFileError, match="chat template cannot be rendered"):
        ChatFrame.from_template(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ ''['__class__']['__mro__'] }}",
        "{{ raise_exception.__globals__['__builtins__'] }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ messages.append(1) }}",
        "{{ messages.clear() }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
    ],
)
def test_a_hostile_template_is_refused(template: str) -> None:
    with pytest.raises(ModelFileError):
        ChatFrame.from_template(template + LOOP)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 300000000 }}",
        "{{ 300000000 * 'a' }}",
        "{{ [1] * 300000000 }}",
        "{{ (2 ** 900000) ** 900000 }}",
        "{{ '%300000000d' % 1 }}",
        "{{ '%*d' % (300000000, 1) }}",
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=9) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{% for i in range(1000) %}{% for j in range(1000) %}{{ 'ab' * 500 }}{% endfor %}{% endfor %}",
        "{% for i in range(1001) %}{% endfor %}",
        "{# " + "a" * 100_000 + " #}",
    ],
)
def test_a_template_that_takes_more_than_any_needs_is_refused(template: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=r"rendered: .*(too large|more than|longer than)"):
            ChatFrame.from_template(template + LOOP)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_a_template_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 0.2)
    numbers = "{% set numbers = range(1000) %}"
    nested = 4 * "{% for i in numbers %}" + 4 * "{% endfor %}"
    watching = sys.gettrace()
    with pytest.raises(ModelFileError, match=r"takes more than 0\.2 seconds"):
        ChatFrame.from_template(numbers + nested + LOOP)
    assert sys.gettrace() is watching


@pytest.mark.parametrize(
    "template", ["{{ 'ab' * 3 + 2 ** 3 * '-' + 'c' }}|", "{{ '%s%03d' % ('a', 7 % 4) }}|", "{{ 1.5 ** 2 }}|"]
)
def test_small_calculations_are_as_ever(template: str) -> None:
    assert ChatFrame.from_template(template + LOOP).opening == Template(template).render()


def test_a_filter_that_reaches_for_the_class_of_a_text_gets_nothing() -> None:
    template = "{{ ''|attr('__class__')|attr('__mro__') }}{{ ''|attr('__class__') is defined }}|"
    assert ChatFrame.from_template(template + LOOP).opening == "False|"


@pytest.mark.parametrize(
    ("template", "role"),
    [
        ("", "system"),
        ("{{ messages[1].content }}{{ messages[2].content }}{{ messages[3].content }}", "system"),
        ("{{ messages[0].content }}{{ messages[2].content }}{{ messages[3].content }}", "user"),
        ("{{ messages[0].content }}{{ messages[1].content }}{{ messages[3].content }}", "assistant"),
        ("{{ messages[0].content }}{{ messages[1].content }}{{ messages[2].content }}", "user"),
        (LOOP + LOOP, "system"),
        (LOOP + "{{ messages[2].content }}", "assistant"),
        ("{% for message in messages|reverse %}{{ message.content }}{% endfor %}", "user"),
        ("{% for message in messages %}{{ message.content|upper }}{% endfor %}", "system"),
        ("{% if add_generation_prompt %}" + LOOP + "{% endif %}", "system"),
    ],
)
def test_a_template_that_does_not_show_every_message_once_in_order_is_refused(
    template: str, role: str
) -> None:
    with pytest.raises(ModelFileError, match=f"does not show the {role} message exactly once and in order"):
        ChatFrame.from_template(template)
