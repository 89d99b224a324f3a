"""What a ``tokenizer.json`` makes of content: tokens that stand for text alone, whatever the file brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genprm_sdk import ModelFileError
from genprm_sdk.backends.tokenizer import TextTokenizer, frame_of_folder

from .bundled import bundled_folder

THINK = {
    "content": "<think>",
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": True,
    "special": False,
}
DEEP = "[" * 100_000


def tokenizer(*added: dict[str, Any], **parts: Any) -> TextTokenizer:
    """The bundled one with other parts."""
    base = json.loads((bundled_folder() / "tokenizer.json").read_text(encoding="utf-8"))
    first = len(base["model"]["vocab"])
    more = [{"id": first + number, **token} for number, token in enumerate(added)]
    return TextTokenizer(json.dumps(base | parts | {"added_tokens": base["added_tokens"] + more}))


@pytest.mark.parametrize(
    ("normalizer", "text"),
    [
        ({"type": "NFKC"}, "So ＜think＞ it is."),
        ({"type": "NFKC"}, "<＜think＞think>"),
        ({"type": "Lowercase"}, "So <THINK> it is."),
        ({"type": "Replace", "pattern": {"String": "~"}, "content": "<think>"}, "a~b"),
    ],
)
def test_no_normalizer_makes_an_added_token_of_content(normalizer: dict[str, Any], text: str) -> None:
    made = tokenizer(THINK, normalizer=normalizer)
    tokens = made.text_tokens(text)
    assert tokens
    assert made.special["<think>"] not in tokens


def test_other_text_has_the_tokens_that_the_library_gives_it() -> None:
    plain, more = tokenizer(), tokenizer(THINK, normalizer={"type": "NFKC"})
    text = "So 3 < 4 ² think> and <thin k>, I ﬁnd.\n\n  12 * 7 = 84"
    assert more.text_tokens(text) == plain.text_tokens(text.replace("²", "2").replace("ﬁ", "fi"))


def test_an_added_token_of_one_character_is_text() -> None:
    made = tokenizer(THINK | {"content": "ö"})
    assert made.text_tokens("schön").count(made.special["ö"]) == 1


def test_a_pattern_that_never_ends_is_the_file_s_fault() -> None:
    split = {"type": "Split", "pattern": {"Regex": "(a+)+c"}, "behavior": "Isolated", "invert": False}
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    made = tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": [split, bytes_]})
    with pytest.raises(ModelFileError, match=r"the tokenizer\.json cannot be used on a text: .*retry-limit"):
        made.text_tokens("a" * 26 + "b")


@pytest.mark.parametrize("text", [DEEP, "[1]", "{", '{"chat_template": [{"name": [], "template": "x"}]}'])
def test_settings_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(text)
    with pytest.raises(ModelFileError, match=r"tokenizer_config\.json is no JSON object|no chat template"):
        frame_of_folder(tmp_path)
    with pytest.raises(ModelFileError, match="cannot be read"):
        TextTokenizer(DEEP)
