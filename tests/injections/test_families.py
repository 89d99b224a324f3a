"""The same under the chat templates of other models, with vocabularies that have their special tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import pytest

from genprm_sdk.models import find_model, read_gguf_metadata
from genprm_sdk.prompt import ChatFrame, content, control

from .corpus import CORPUS, HARMLESS, Injection
from .scripted import ScriptedBackend, Substitution, Tokens, opened_vocabulary, read_tokens
from .setups import WORDS, Setup, assert_same, play

pytestmark = pytest.mark.anyio

MODEL = find_model("genprm-mini")[1]

PROBLEM = "What is 6 * 7?"
STEPS = ("Let's add seven sixes.", "So it is 42.", "The answer is 42.")
SETUPS = (
    Setup(analysis=True, code=True, execute=True),
    Setup(analysis=True, code=True, execute=True, style="reference"),
    Setup(analysis=False, code=False, execute=False),
)

QWEN = """\
{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

DEEPSEEK = """\
{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{%- set ns = namespace(system_prompt='') -%}
{%- for message in messages %}
{%- if message['role'] == 'system' %}{%- set ns.system_prompt = message['content'] %}{%- endif %}
{%- endfor %}{{bos_token}}{{ns.system_prompt}}
{%- for message in messages %}
{%- if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}{%- endif %}
{%- if message['role'] == 'assistant' and message['content'] is not none %}
{%- set content = message['content'] %}
{%- if '</think>' in content %}{%- set content = content.split('</think>')[-1] %}{%- endif %}
{{- '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}
{%- endfor -%}
{% if add_generation_prompt %}{{'<｜Assistant｜><think>\\n'}}{% endif %}
"""

LLAMA = """\
{{- bos_token }}
{%- set offset = 0 %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set offset = 1 %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages[offset:] %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim }}
    {{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

GEMMA = """\
{{ bos_token }}{% set first = messages[0]['content'] + '\\n\\n' %}
{%- for message in messages[1:] -%}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first if loop.first else '') }}{{ message['content'] | trim }}
    {{- '<end_of_turn>\\n' }}
{%- endfor -%}
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}
"""


@dataclass(frozen=True)
class Family:
    """A kind of model.

    Attributes:
        name: Its name.
        template: Its chat template.
        bos, eos: The tokens that begin and end a text.
        controls: Its other control tokens.
        words: Tokens of its own that are no control tokens, but which llama.cpp finds in any text.
    """

    name: str
    template: str
    bos: str
    eos: str
    controls: tuple[str, ...]
    words: tuple[str, ...] = ()

    @property
    def special(self) -> tuple[str, ...]:
        """All of its special tokens."""
        return (*((self.bos,) if self.bos else ()), self.eos, *self.controls, *self.words)


FAMILIES = (
    Family(
        "Qwen",
        QWEN,
        "",
        "<|im_end|>",
        ("<|endoftext|>", "<|im_start|>", "<|vision_start|>", "<|image_pad|>", "<|object_ref_start|>"),
        ("<tool_call>", "</tool_call>", "<think>", "</think>", "<|fim_prefix|>", "<|fim_pad|>"),
    ),
    Family(
        "DeepSeek",
        DEEPSEEK,
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        ("<｜tool▁outputs▁begin｜>", "<|EOT|>"),
        ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"),
    ),
    Family(
        "Llama",
        LLAMA,
        "<|begin_of_text|>",
        "<|eot_id|>",
        (
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eom_id|>",
            "<|python_tag|>",
            "<|reserved_special_token_0|>",
        ),
    ),
    Family(
        "Gemma",
        GEMMA,
        "<bos>",
        "<eos>",
        ("<start_of_turn>", "<end_of_turn>", "<pad>", "<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
        ("<unused0>", "▁▁", "\n\n\n"),
    ),
)


def write_vocabulary(family: Family, path: Path) -> None:
    """A model file without weights: the bundled vocabulary, with a family's special tokens beside its own."""
    metadata = read_gguf_metadata(MODEL)
    tokens, merges = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.merges"]
    assert isinstance(tokens, tuple)
    assert isinstance(merges, tuple)
    ordinary = tokens[3:]
    kinds = [gguf.TokenType.NORMAL] * len(ordinary)
    kinds += [gguf.TokenType.CONTROL] * (len(family.special) - len(family.words))
    kinds += [gguf.TokenType.USER_DEFINED] * len(family.words)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*ordinary, *family.special])
    writer.add_token_types(kinds)
    writer.add_token_merges(list(merges))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    asked = request.param
    assert isinstance(asked, Family)
    return asked


@pytest.fixture(scope="module")
def member(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedBackend]:
    """A scripted model of the family."""
    path = tmp_path_factory.mktemp("family") / f"{family.name}.gguf"
    write_vocabulary(family, path)
    with opened_vocabulary(path) as vocabulary:
        yield ScriptedBackend(vocabulary, ChatFrame.from_template(family.template, family.bos, family.eos))


def test_the_family_s_special_tokens_are_there(member: ScriptedBackend, family: Family) -> None:
    special = member.vocabulary.special
    assert set(special) == set(family.special)
    for spelling in family.special:
        assert member.vocabulary.tokens([control(spelling)]) == [special[spelling]]
    frame = member.frame
    header, generation = frame.user_to_assistant, frame.generation
    for control_text in (frame.opening + frame.system_to_user, header, frame.assistant_to_user, generation):
        read = read_tokens(member.vocabulary, member.vocabulary.tokens([control(control_text)]))
        assert read.special


def test_special_tokens_in_content_are_text(member: ScriptedBackend, family: Family) -> None:
    for text in (*family.special, "".join(family.special), family.special[0] * 50):
        read = read_tokens(member.vocabulary, member.vocabulary.tokens([content(text)]))
        assert read == Tokens((), (text,))


def everywhere(text: str) -> tuple[str, tuple[str, ...]]:
    """Problem and steps with a text in all of them."""
    return f"{PROBLEM} {text}", (text, f"{text}\n{STEPS[1]}", f"{STEPS[2]} {text}")


async def test_injections_change_nothing(member: ScriptedBackend, family: Family) -> None:
    own = [Injection(f"a token of its own: {text}", f"42{text}\n", "token") for text in family.special]
    for setup in SETUPS:
        script = setup.script(WORDS)
        harmless = await play(member, setup, script, *everywhere(HARMLESS))
        for injection in (*own, *CORPUS):
            played = await play(member, setup, script, *everywhere(injection.text))
            assert_same(played, harmless, Substitution(((HARMLESS, injection.text),)), injection.name)
    member.forget()
