"""Text to tokens and back with llama.cpp's tokenizer, so that content never becomes a control token.

Two kinds of vocabulary entry must not come out of content: user-defined tokens such as ``<think>``, which
llama.cpp finds in any text, and control tokens, which ``parse_special=False`` leaves alone unless a file's
own merges spell one. Content that spells such an entry is cut inside the spelling and tokenised in pieces.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

from ..errors import BackendError, ClosedError
from ..prompt import Segment, cuts_inside, tokenizer_runs

__all__ = ["Vocabulary"]


class Vocabulary:
    """The vocabulary of one loaded model.

    Args:
        library: The ``llama_cpp`` module.
        vocab: Its pointer to the model's vocabulary.
    """

    def __init__(self, library: Any, vocab: Any) -> None:
        self._library = library
        self._vocab = vocab
        self.size = int(library.llama_vocab_n_tokens(vocab))
        self.special: dict[str, int] = {}
        self._controls: set[int] = set()
        self._pieces: dict[int, bytes] = {}
        self._in_use = threading.Lock()
        self._closed = False
        found_in_text: list[str] = []
        for token in range(self.size):
            attributes = library.llama_vocab_get_attr(vocab, token)
            is_control = bool(attributes & library.LLAMA_TOKEN_ATTR_CONTROL)
            is_user_defined = bool(attributes & library.LLAMA_TOKEN_ATTR_USER_DEFINED)
            if not (is_control or is_user_defined):
                continue
            text = library.llama_vocab_get_text(vocab, token).decode("utf-8", "replace")
            self.special[text] = token
            if is_control:
                self._controls.add(token)
            if not is_control or token in self._tokenize(text):
                found_in_text.append(text)
        self._inside_special = cuts_inside(found_in_text)

    def close(self) -> None:
        """Let nobody tokenise any more; returns when nobody does, so that the model can be freed."""
        with self._in_use:
            self._closed = True

    def ends_turn(self, token: int) -> bool:
        """Whether the model ends its turn with this token: an end-of-generation or other control token."""
        return token in self._controls or bool(self._library.llama_vocab_is_eog(self._vocab, token))

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
        """The tokens of plain text, never a special one."""
        pieces = self._inside_special.split(text) if self._inside_special else [text]
        return [token for piece in pieces for token in self._tokenize(piece)]

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode("utf-8", "replace")
        if not data:
            return []
        room = len(data) + 1
        buffer = (ctypes.c_int32 * room)()
        with self._in_use:
            if self._closed:
                raise ClosedError("the backend is closed")
            count = self._library.llama_tokenize(self._vocab, data, len(data), buffer, room, False, False)
        if count < 0:
            raise BackendError(f"llama.cpp could not tokenise a text of {len(data)} bytes")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; control tokens stand for none."""
        if token not in self._pieces:
            self._pieces[token] = self._read_piece(token)
        return self._pieces[token]

    def _read_piece(self, token: int) -> bytes:
        room = 32
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = self._library.llama_token_to_piece(self._vocab, token, buffer, room, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            room = -count
