"""A folder's tokenizer in llama.cpp's terms: entries, special tokens, how text is cut, the chat template.

Knows the tokenizer's files and the names that llama.cpp has for what they say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from genprm_sdk.errors import ModelFileError
from genprm_sdk.json_objects import json_object
from genprm_sdk.models.template import spelling, template_of_folder
from genprm_sdk.prompt import ChatFrame

from ..gguf_header import Entries, tokenizer_entries
from ..tokenizer import QWEN2_PATTERN

__all__ = ["FolderVocabulary", "read_vocabulary"]

DEEPSEEK = "<｜Assistant｜>"
"""What DeepSeek's tokenizers of Qwen2's shape have, and Qwen's do not."""

ROLES = {"bos": "bos", "eos": "eos", "padding": "pad"}
"""What a GGUF file calls a token that the tokenizer's configuration names, and what that calls it."""


@dataclass(frozen=True)
class FolderVocabulary:
    """What a model file says about its tokenizer.

    Attributes:
        entries: The vocabulary.
        pre: llama.cpp's name for how text is cut into words.
        special: Ids by the names that a file has for them: ``eos``, and where there are such ``bos``,
            ``padding`` and ``eot``, which ends an assistant's turn.
        add_bos: Whether ``bos`` belongs before every text.
        template: The chat template.
    """

    entries: Entries
    pre: str
    special: Mapping[str, int]
    add_bos: bool
    template: str


def read_vocabulary(folder: Path, size: int, eos: int | None) -> FolderVocabulary:
    """Read a folder's tokenizer.

    Args:
        folder: Holds ``tokenizer.json`` and ``tokenizer_config.json``.
        size: Entries that the model's embedding has.
        eos: Ends a text, where the tokenizer names no token for that.

    Raises:
        ModelFileError: A file is missing or damaged; the tokenizer does not fit the embedding or cuts text as
            no tokenizer of Qwen2 does; or there is no chat template that can be used.
    """
    state, config = _json(folder / "tokenizer.json"), _json(folder / "tokenizer_config.json")
    try:
        tokenizer = Tokenizer.from_str(json.dumps(state))
    except Exception as error:  # the library raises bare exceptions
        raise ModelFileError(f"{folder / 'tokenizer.json'} cannot be read: {error}") from error
    if not _cuts_as_qwen2(state.get("pre_tokenizer")):
        raise ModelFileError(
            f"{folder / 'tokenizer.json'} does not cut text into words as Qwen2 does: llama.cpp would cut it "
            "into other tokens than the model was trained on"
        )
    entries = tokenizer_entries(state, size)
    added = {token["content"]: int(token["id"]) for token in state["added_tokens"]}
    spellings = {role: spelling(config.get(f"{name}_token")) for role, name in ROLES.items()}
    special: dict[str, int] = {}
    for role, text in spellings.items():
        token = tokenizer.token_to_id(text) if text else None
        if text and token is None:
            raise ModelFileError(f"{folder} names {text!r:.80} as its {role} token: its vocabulary lacks it")
        if token is not None:
            special[role] = token
    if eos is not None:
        special.setdefault("eos", eos)
    if not 0 <= special.get("eos", -1) < size:
        raise ModelFileError(f"{folder} does not say which token ends a text: set eos_token")
    template = template_of_folder(folder, config)
    frame = ChatFrame.from_template(template, spellings["bos"], spellings["eos"])
    ends = [text for text in added if text and frame.assistant_to_user.startswith(text)]
    if ends:
        special["eot"] = added[max(ends, key=len)]
    add_bos = config.get("add_bos_token")
    if add_bos is None:
        add_bos = "bos" in special and tokenizer.encode("a").ids[:1] == [special["bos"]]
    return FolderVocabulary(
        entries=entries,
        pre="deepseek-r1-qwen" if DEEPSEEK in added else "qwen2",
        special=special,
        add_bos=bool(add_bos),
        template=template,
    )


def _json(file: Path) -> dict[str, Any]:
    try:
        return json_object(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(f"there is no tokenizer in {file.parent}: {file.name} is missing") from None
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot read {file}: {error}") from error


def _cuts_as_qwen2(pre_tokenizer: Any) -> bool:
    match pre_tokenizer:
        case {
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ]
        }:
            return bool(pattern == QWEN2_PATTERN)
    return False
