"""A model for tests that writes what a script says, in a real vocabulary, and notes what it is asked.

The notes are what an injection must not change: which act came when, on which sequence, and what the tokens
of an appended text are. ``verify`` lets the protocol's machine act on such a model, ``Substitution`` says
what becomes of the notes when one text takes another's place.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from genprm_sdk.backends.base import Counters, Generation, OpenSequence, Sampling, Work
from genprm_sdk.backends.writing import first_stop
from genprm_sdk.engine.library import library
from genprm_sdk.engine.vocabulary import Vocabulary
from genprm_sdk.models import MetadataValue
from genprm_sdk.prompt import ChatFrame, Segment, content
from genprm_sdk.protocol import (
    Append,
    Execute,
    Generate,
    Generated,
    Layout,
    ReadVerdict,
    Rewind,
    TurnResult,
    TurnSettings,
    verification_turn,
)
from genprm_sdk.types import CodeRun
from genprm_sdk.wording import VERDICT_CANDIDATES

__all__ = [
    "Act",
    "Call",
    "Script",
    "ScriptedBackend",
    "Substitution",
    "Tokens",
    "opened_vocabulary",
    "read_tokens",
    "verify",
    "without_pauses",
]

Act = Literal["open", "fork", "append", "generate", "probabilities", "close"]
Runner = Callable[[str], Awaitable[CodeRun]]


@contextmanager
def opened_vocabulary(path: Path) -> Iterator[Vocabulary]:
    """The vocabulary of a model file, without the rest of the model."""
    lib = library()
    options = lib.llama_model_default_params()
    options.vocab_only = True
    model = lib.llama_model_load_from_file(os.fsencode(path), options)
    assert model, f"llama.cpp cannot load {path}"
    vocabulary = Vocabulary(lib, lib.llama_model_get_vocab(model))
    try:
        yield vocabulary
    finally:
        vocabulary.close()
        lib.llama_model_free(model)


@dataclass(frozen=True)
class Tokens:
    """Tokens as a model reads them.

    Attributes:
        special: The special tokens in order.
        texts: The texts before, between and behind them.
    """

    special: tuple[int, ...]
    texts: tuple[str, ...]


def read_tokens(vocabulary: Vocabulary, tokens: Sequence[int]) -> Tokens:
    """Spell tokens out.

    Raises:
        UnicodeDecodeError: A text between special tokens is none.
    """
    known = set(vocabulary.special.values())
    special: list[int] = []
    texts = [bytearray()]
    for token in tokens:
        if token in known:
            special.append(token)
            texts.append(bytearray())
        else:
            texts[-1] += vocabulary.piece(token)
    return Tokens(tuple(special), tuple(text.decode() for text in texts))


@dataclass(frozen=True)
class Call:
    """One act.

    Attributes:
        act: What was done.
        sequence: On which sequence, in the order in which they came to be.
        tokens: What was added to it, as a model reads it.
        asked: The stops of a generation, or the candidates whose probabilities were read.
        budget: How much could be generated.
    """

    act: Act
    sequence: int
    tokens: Tokens | None = None
    asked: tuple[str, ...] = ()
    budget: int | None = None


def without_pauses(calls: Sequence[Call]) -> list[Call]:
    """Notes in which a generation that goes on after a pause, with nothing in between, is one."""
    joined: list[Call] = []
    for call in calls:
        last = joined[-1] if joined else call
        if joined and (last.act, call.act, last.sequence) == ("generate", "generate", call.sequence):
            assert last.tokens is not None
            assert call.tokens is not None
            text = "".join((*last.tokens.texts, *call.tokens.texts))
            joined[-1] = replace(last, tokens=Tokens((), (text,)))
        else:
            joined.append(call)
    return joined


@dataclass(frozen=True)
class Script:
    """What a model does.

    Attributes:
        texts: What it writes, one text after the other. What is left of one behind a stop comes next.
        readings: The probabilities of Yes and No, each time that they are read.
    """

    texts: tuple[str, ...]
    readings: tuple[tuple[float, float], ...]


class ScriptedBackend:
    """A ``Backend`` that follows a script.

    Args:
        vocabulary: What its sequences are made of.
        frame: Its chat template.
    """

    def __init__(self, vocabulary: Vocabulary, frame: ChatFrame) -> None:
        self.name = "scripted"
        self.frame = frame
        self.context = 10**6
        self.capacity = self.prompts_at_once = 16
        self.metadata: Mapping[str, MetadataValue] = {}
        self.vocabulary = vocabulary
        self.calls: list[Call] = []
        self.texts: list[str] = []
        self.readings: list[tuple[float, float]] = []
        self.sequences = 0
        self._known: dict[tuple[Segment, ...], tuple[int, Tokens]] = {}

    def follow(self, script: Script) -> None:
        """Begin anew, with this script."""
        self.calls, self.sequences = [], 0
        self.texts, self.readings = list(script.texts), list(script.readings)

    @property
    def is_through(self) -> bool:
        """Whether all of the script was asked for."""
        return not self.texts and not self.readings

    def tokenise(self, segments: Sequence[Segment]) -> tuple[int, Tokens]:
        """How many tokens one append adds, and which."""
        key = tuple(segments)
        if key not in self._known:
            tokens = self.vocabulary.tokens(segments)
            self._known[key] = len(tokens), read_tokens(self.vocabulary, tokens)
        return self._known[key]

    def forget(self) -> None:
        """Drop what was remembered of texts seen before."""
        self._known.clear()

    async def open(self, segments: Sequence[Segment]) -> ScriptedSequence:
        sequence = ScriptedSequence(self, 0)
        sequence.add("open", segments)
        return sequence

    def counters(self) -> Counters:
        return Counters()

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class ScriptedSequence:
    """An ``OpenSequence`` of a scripted backend."""

    def __init__(self, backend: ScriptedBackend, tokens: int) -> None:
        self._backend = backend
        self._number = backend.sequences
        self._left = ""
        self.tokens = tokens
        backend.sequences += 1

    @property
    def work(self) -> Work:
        return Work()

    def note(self, act: Act, **about: Any) -> None:
        """Note an act on this sequence."""
        self._backend.calls.append(Call(act, self._number, **about))

    def add(self, act: Act, segments: Sequence[Segment]) -> int:
        """Add text, and note it as this act."""
        count, tokens = self._backend.tokenise(segments)
        self.tokens += count
        self.note(act, tokens=tokens)
        return count

    async def fork(self) -> ScriptedSequence:
        self.note("fork")
        return ScriptedSequence(self._backend, self.tokens)

    async def append(self, segments: Sequence[Segment]) -> int:
        return self.add("append", segments)

    async def generate(
        self,
        stop: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> Generation:
        """Write the script's next text, or what an earlier stop has left of the last one."""
        text = self._left or self._backend.texts.pop(0)
        data, stops = text.encode(), [each.encode() for each in stop]
        hit = first_stop(bytearray(data), stops, 0)
        written = data[: hit[0]].decode() if hit else text
        count, tokens = self._backend.tokenise([content(written)])
        assert count <= max_tokens, "a script does not run into budgets"
        self._left = text[len(written) :]
        self.tokens += count
        self.note("generate", tokens=tokens, asked=tuple(stop), budget=max_tokens)
        if show is not None and written:
            show(written)
        return Generation(written, count, "stop" if hit else "end", stop[hit[1]] if hit else None)

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        """The script's next reading."""
        self.note("probabilities", asked=tuple(candidates))
        assert tuple(candidates) == VERDICT_CANDIDATES
        return list(self._backend.readings.pop(0))

    async def close(self) -> None:
        self.note("close")


async def verify(
    backend: ScriptedBackend,
    layout: Layout,
    settings: TurnSettings,
    problem: str | None,
    steps: Sequence[str],
    run: Runner,
    *,
    rationales: bool = True,
) -> list[TurnResult]:
    """Let the protocol's machine judge step after step.

    Args:
        backend: The model; what it was asked is in its ``calls``.
        layout: Where things stand in the prompt.
        settings: Parts and budgets of each turn.
        problem: What was to be solved, or None.
        steps: What is judged.
        run: Runs the code that the machine finds.
        rationales: Whether finished turns stay in the prompt.
    """
    base: OpenSequence = await backend.open(layout.opening(problem, steps[0]))
    results = []
    for index, following in enumerate([*steps[1:], None]):
        turn, result = await _turn(base, layout, settings, index, run)
        results.append(result)
        if following is None or not rationales or layout.style == "reference":
            await turn.close()
        if following is None:
            break
        if not rationales:
            await base.append(layout.next_step(following))
        elif layout.style == "reference":
            await base.append(layout.after_turn(result.text, following))
        else:
            await base.close()
            base = turn
            await base.append(layout.after_generated_turn(following))
    await base.close()
    return results


async def _turn(
    base: OpenSequence, layout: Layout, settings: TurnSettings, step: int, run: Runner
) -> tuple[OpenSequence, TurnResult]:
    """One turn on a fork of what ends with the step."""
    machine = verification_turn(step, settings)
    sequence: OpenSequence | None = None
    answer: Any = None
    while True:
        try:
            action = machine.send(answer)
        except StopIteration as end:
            assert sequence is not None
            return sequence, end.value
        if isinstance(action, Rewind) and sequence is not None:
            await sequence.close()
            sequence = None
        if isinstance(action, Append | Rewind):
            segments = [content(action.text)]
            if sequence is None:
                sequence, segments = await base.fork(), [*layout.asking(), *segments]
            await sequence.append(segments)
            answer = sequence.tokens - base.tokens
            continue
        assert sequence is not None
        if isinstance(action, Execute):
            assert action.code is not None, "a script's blocks hold code"
            answer = await run(action.code)
        elif isinstance(action, ReadVerdict):
            answer = tuple(await sequence.probabilities(VERDICT_CANDIDATES))
        else:
            assert isinstance(action, Generate)
            stops = (*action.stop, *action.pause)
            made = await sequence.generate(stops, action.max_tokens, Sampling())
            answer = Generated(made.text, made.stop, sequence.tokens - base.tokens)


@dataclass(frozen=True)
class Substitution:
    """Texts that take the place of others, one after the other.

    Attributes:
        pairs: What is replaced, and what by.
        budgets: Whether budgets stay the same; they count what a program prints.
    """

    pairs: tuple[tuple[str, str], ...]
    budgets: bool = True

    def in_text(self, text: str) -> str:
        """A text after it."""
        for old, new in self.pairs:
            text = text.replace(old, new)
        return text

    def in_calls(self, calls: Sequence[Call]) -> list[Call]:
        """Notes after it: the same acts and special tokens, and only the texts between them changed."""
        changed = []
        for call in calls:
            texts = () if call.tokens is None else tuple(map(self.in_text, call.tokens.texts))
            if call.tokens is not None and texts != call.tokens.texts:
                call = replace(call, tokens=Tokens(call.tokens.special, texts))
            if call.budget is not None and not self.budgets:
                call = replace(call, budget=None)
            changed.append(call)
        return changed

    def in_results(self, results: Sequence[TurnResult]) -> list[TurnResult]:
        """Finished turns after it, without what their code printed."""
        return [
            replace(
                result,
                text=self.in_text(result.text),
                analysis=None if result.analysis is None else self.in_text(result.analysis),
                code_runs=tuple(
                    CodeRun(code=self.in_text(run.code), status=run.status) for run in result.code_runs
                ),
            )
            for result in results
        ]
