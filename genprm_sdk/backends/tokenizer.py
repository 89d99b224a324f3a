"""Text to tokens and back with a ``tokenizer.json``, so that content never becomes a control token.

For engines that leave tokenising to their caller. Special tokens in content are switched off; other added
tokens, such as ``<think>``, the library finds in any text, so content that spells one is cut inside the
spelling and tokenised in pieces. What a normalizer makes one of is tokenised by the vocabulary alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelFileError, UnknownModelError
from ..json_objects import json_object
from ..models.template import spelling, template_of_folder
from ..prompt import ChatFrame, Segment, cuts_inside, tokenizer_runs

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["TextTokenizer", "frame_of_folder"]


class TextTokenizer:
    """A byte-level BPE vocabulary, as the Qwen and Llama 3 families have one.

    Args:
        text: What a ``tokenizer.json`` says.

    Attributes:
        special: The ids of added tokens, by their spelling.

    Raises:
        ModelFileError: It is no tokenizer, or no byte-level one.
    """

    def __init__(self, text: str) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_str(text)
            decoder = json_object(text).get("decoder") or {}
        except Exception as error:  # the library raises bare exceptions
            raise ModelFileError(f"the tokenizer.json cannot be read: {error}") from error
        kinds = {part.get("type") for part in (decoder, *decoder.get("decoders", ()))}
        if "ByteLevel" not in kinds:
            raise ModelFileError("the tokenizer.json is not byte-level BPE: use a GGUF of this model")
        added = self._tokenizer.get_added_tokens_decoder()
        self.special = {token.content: index for index, token in added.items()}
        self._added = {index for index, token in added.items() if len(token.content) > 1}
        self._ends = {index for index, token in added.items() if token.special}
        self._tokenizer.encode_special_tokens = True
        # It shares the vocabulary, and has no added tokens of its own.
        self._without_added = Tokenizer(self._tokenizer.model)
        self._without_added.normalizer = self._tokenizer.normalizer
        self._without_added.pre_tokenizer = self._tokenizer.pre_tokenizer
        found_in_text = [
            text for text, index in self.special.items() if index in _encoded(self._tokenizer, text)
        ]
        self._inside_special = cuts_inside(found_in_text)
        self._pieces: dict[int, bytes] = dict.fromkeys(self._ends, b"")

    @classmethod
    def of_folder(cls, folder: Path) -> TextTokenizer:
        """The tokenizer of a folder that holds a ``tokenizer.json``.

        Raises:
            UnknownModelError: It holds none.
        """
        return cls(_read(folder / "tokenizer.json"))

    @property
    def size(self) -> int:
        """Entries, added tokens included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def ends_turn(self, token: int) -> bool:
        """Whether the model ends its turn with this token: any special one does."""
        return token in self._ends

    def tokens(self, segments: Sequence[Segment]) -> list[int]:
        """The tokens of what one append adds."""
        tokens: list[int] = []
        for kind, text in tokenizer_runs(segments, tuple(self.special)):
            if kind == "special":
                tokens.append(self.special[text])
            else:
                tokens += self.text_tokens(text)
        return tokens

    def text_tokens(self, text: str) -> list[int]:
        """The tokens of plain text, never an added one, unless that is a single character."""
        pieces = self._inside_special.split(text) if self._inside_special else [text]
        return [token for piece in pieces if piece for token in self._piece_tokens(piece)]

    def _piece_tokens(self, piece: str) -> list[int]:
        tokens = _encoded(self._tokenizer, piece)
        return tokens if self._added.isdisjoint(tokens) else _encoded(self._without_added, piece)

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; special tokens and padding stand for none."""
        if token not in self._pieces:
            self._pieces[token] = self._piece(token)
        return self._pieces[token]

    def _piece(self, token: int) -> bytes:
        text = self._tokenizer.id_to_token(token)
        if text is None:
            return b""
        if text in self.special or any(character not in _BYTES for character in text):
            return str(text).encode()
        return bytes(_BYTES[character] for character in text)


def _encoded(tokenizer: Tokenizer, text: str) -> list[int]:
    """The tokens of a text.

    Raises:
        ModelFileError: What the tokenizer does to a text comes to no end.
    """
    whole = text.encode("utf-8", "replace").decode()
    try:
        return list(tokenizer.encode(whole, add_special_tokens=False).ids)
    except BaseException as error:
        # What the library's regular expressions give up on is a panic, whose class is nowhere to be imported.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            reason = " ".join(str(error).split())
            raise ModelFileError(f"the tokenizer.json cannot be used on a text: {reason:.200}") from error
        raise


def frame_of_folder(folder: Path) -> ChatFrame:
    """The chat template of a folder in the Hugging Face layout.

    Raises:
        UnknownModelError: The folder has no ``tokenizer_config.json``.
        ModelFileError: There is no template, or it cannot be used.
    """
    try:
        config = json_object(_read(folder / "tokenizer_config.json"))
    except ValueError as error:
        raise ModelFileError(f"{folder / 'tokenizer_config.json'} is no JSON object: {error}") from error
    return ChatFrame.from_template(
        template_of_folder(folder, config),
        *(spelling(config.get(f"{name}_token")) for name in ("bos", "eos")),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UnknownModelError(f"there is no {file.name} in {file.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"cannot read {file}: {error}") from error


def _bytes_by_character() -> dict[str, int]:
    """GPT-2's spelling of bytes: printable ones as themselves, the others from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    spelling = {chr(byte): byte for byte in printable}
    return spelling | {chr(256 + at): byte for at, byte in enumerate(others)}


_BYTES = _bytes_by_character()
