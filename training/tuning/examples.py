"""Conversations as tokens to train on: the tokens that a verifier holds when it is used.

A model of the ``chat`` style is prompted piece by piece, forced text and what it writes each tokenised by
itself, so that is how it is trained. One of the ``reference`` style was trained on whole turns, as the paper
did, and goes on so. A model whose history is ``steps`` sees no earlier verification, so each of a
conversation's turns is an example of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genprm_sdk.backends.tokenizer import TextTokenizer, frame_of_folder
from genprm_sdk.models import VerifierSettings
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.prompt import Segment, content, control, tokenizer_runs
from genprm_sdk.protocol import Layout

from ..pipeline.records import Conversation

__all__ = ["IGNORED", "Encoder", "Example"]

IGNORED = -100
"""The label of a token that brings no loss, as torch and transformers know it."""


@dataclass(frozen=True)
class Example:
    """A sequence to train on.

    Attributes:
        ids: Its tokens.
        labels: The same, or ``IGNORED`` where nothing is to be learnt.
    """

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class _Piece:
    segment: Segment
    trained: bool = False


class Encoder:
    """Turns conversations into examples for one model.

    Args:
        folder: The model's, in the Hugging Face layout.
        settings: How it wants to be used.
        forced: Whether forced text and what code printed are trained on, too: the paper's plain loss.

    Raises:
        ModelFileError: The folder's tokenizer or chat template cannot be used.
    """

    def __init__(self, folder: Path, settings: VerifierSettings, *, forced: bool = False) -> None:
        self._tokenizer = TextTokenizer.of_folder(folder)
        self._frame = frame_of_folder(folder)
        self._in_pieces = settings.style == "chat"
        self._steps_alone = settings.history is History.STEPS
        self._forced = forced
        specials = [
            text
            for kind, text in tokenizer_runs(
                [control(self._frame.assistant_to_user)], tuple(self._tokenizer.special)
            )
            if kind == "special"
        ]
        self._end = specials[0] if specials else ""

    def examples(self, conversation: Conversation) -> Iterator[Example]:
        """A conversation's examples: one, or one a turn."""
        layout = Layout(self._frame, "chat", direct=conversation.reasoning is Reasoning.DIRECT)
        header = self._frame.generation if self._in_pieces else self._frame.user_to_assistant
        rest = self._frame.assistant_to_user.removeprefix(self._end)
        prompt = [_fixed(layout.opening(conversation.problem or None, conversation.steps[0]))]
        for number, step in enumerate(conversation.steps):
            if number and self._steps_alone:
                prompt.append(_fixed(layout.next_step(step)))
            elif number:
                prompt[-1] += _fixed([control(rest), content(step)])
            turn = self._turn(2 * number + 2, conversation)
            whole = [
                *prompt,
                [_Piece(control(header)), *turn[0]],
                *turn[1:],
                [_Piece(control(self._end), trained=True)],
            ]
            if self._steps_alone or number + 1 == len(conversation.steps):
                yield self._encode(whole)
            if not self._steps_alone:
                prompt = whole

    def _turn(self, index: int, conversation: Conversation) -> list[list[_Piece]]:
        """A turn's pieces, one an append: what is not written, what is written, and so on."""
        text = conversation.messages[index].content
        spans = [(start, end) for message, start, end in conversation.train if message == index]
        appends: list[list[_Piece]] = [[]]
        at = 0
        for start, end in (*spans, (len(text), len(text))):
            if start > at:
                appends.append([_Piece(content(text[at:start]), self._forced)])
            if end > start:
                appends.append([_Piece(content(text[start:end]), trained=True)])
            at = end
        return [appends[0] + appends[1], *appends[2:]] if spans and spans[0][0] else appends

    def _encode(self, appends: Sequence[Sequence[_Piece]]) -> Example:
        if not self._in_pieces:
            appends = [[piece for append in appends for piece in append]]
        ids: list[int] = []
        labels: list[int] = []
        for append in appends:
            for token, trained in self._tokens(append):
                ids.append(token)
                labels.append(token if trained else IGNORED)
        return Example(ids, labels)

    def _tokens(self, pieces: Sequence[_Piece]) -> Iterator[tuple[int, bool]]:
        """The tokens of one append; one that is trained on in part is trained on."""
        flags = [piece.trained for piece in pieces for _ in piece.segment.text]
        at = 0
        runs = tokenizer_runs([piece.segment for piece in pieces], tuple(self._tokenizer.special))
        for kind, text in runs:
            if kind == "special":
                yield self._tokenizer.special[text], flags[at]
            else:
                owners = [at + number for number, character in enumerate(text) for _ in _bytes_of(character)]
                begin = 0
                for token in self._tokenizer.text_tokens(text):
                    end = begin + len(self._tokenizer.piece(token))
                    yield token, any(flags[owner] for owner in owners[begin:end])
                    begin = end
            at += len(text)


def _fixed(segments: Sequence[Segment]) -> list[_Piece]:
    return [_Piece(segment) for segment in segments]


def _bytes_of(character: str) -> bytes:
    return character.encode("utf-8", "replace")
