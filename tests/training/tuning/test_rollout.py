"""Verification turns of a model in training: the right tokens, the right mask, the weights as they are."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM

from genprm_sdk import Sampling, Verifier, wording
from genprm_sdk.backends.tokenizer import frame_of_folder
from genprm_sdk.backends.transformers import TransformersBackend
from genprm_sdk.errors import ClosedError, InputError
from genprm_sdk.models import VerifierSettings
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.prompt import content
from genprm_sdk.protocol import Layout
from genprm_sdk.torch_engine.engine import EngineSequence
from genprm_sdk.torch_engine.scheduler import Scheduler
from genprm_sdk.training.pipeline.turns import written_spans
from genprm_sdk.training.tuning.folders import settings_of
from genprm_sdk.training.tuning.prompts import StepPrompt, executed_code, prompts_of
from genprm_sdk.training.tuning.rollout import Rollouts, WrittenTurn

from ...processes import children
from .conversations import conversation_of, short_examples

TOLERANCE = 1e-4
"""Of log-probabilities, between one pass over all tokens and the engine's steps."""


@pytest.fixture(scope="module")
def model(mini: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(mini, dtype=torch.float32, attn_implementation="sdpa")


@pytest.fixture(scope="module")
def prompts() -> list[StepPrompt]:
    """Steps of arithmetic, and of word sorting, whose later code counts on what the first step's defines."""
    (arithmetic,) = short_examples("arithmetic", 1)
    (words,) = short_examples("word_sorting", 1, steps=3)
    return [*prompts_of(conversation_of(arithmetic)), *prompts_of(conversation_of(words))]


@pytest.fixture(scope="module")
def rollouts(mini: Path, model: Any) -> Iterator[Rollouts]:
    with Rollouts(model, mini, settings=settings_of(mini)) as opened:
        yield opened


@pytest.fixture(scope="module")
def groups(rollouts: Rollouts, prompts: list[StepPrompt]) -> list[tuple[WrittenTurn, ...]]:
    return rollouts.write(prompts, 3, seed=1)


@pytest.fixture(scope="module")
def tokenizer(mini: Path) -> Tokenizer:
    return Tokenizer.from_file(str(mini / "tokenizer.json"))


def ids_of(turn: WrittenTurn) -> tuple[int, ...]:
    return turn.prompt_ids + turn.completion_ids


def shown(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False))


def prompt_text(mini: Path, prompt: StepPrompt) -> str:
    layout = Layout(frame_of_folder(mini), style="chat")
    segments = [*layout.opening(prompt.problem, prompt.steps[0])]
    for step in prompt.steps[1:]:
        segments += layout.next_step(step)
    return "".join(segment.text for segment in (*segments, *layout.asking()))


def test_the_tokens_are_the_prompt_and_the_turn(
    mini: Path, tokenizer: Tokenizer, prompts: list[StepPrompt], groups: list[tuple[WrittenTurn, ...]]
) -> None:
    assert [len(group) for group in groups] == [3] * len(prompts)
    for prompt, group in zip(prompts, groups, strict=True):
        for turn in group:
            assert turn.path.degraded is None
            assert shown(tokenizer, ids_of(turn)) == prompt_text(mini, prompt) + turn.path.text


def test_the_mask_is_what_the_model_wrote(
    tokenizer: Tokenizer, prompts: list[StepPrompt], groups: list[tuple[WrittenTurn, ...]]
) -> None:
    for prompt, group in zip(prompts, groups, strict=True):
        for turn in group:
            spans = written_spans(turn.path.text, prompt.step, turn.path.code_runs)
            assert spans is not None
            begin = len(shown(tokenizer, ids_of(turn))) - len(turn.path.text)
            assert begin + spans[0][0] == len(shown(tokenizer, turn.prompt_ids))
            at = len(shown(tokenizer, turn.prompt_ids)) - begin
            for token, own in zip(turn.completion_ids, turn.mask, strict=True):
                end = at + len(shown(tokenizer, [token]))
                assert own == any(first <= at and end <= last for first, last in spans), turn.path.text[
                    at:end
                ]
                at = end
            assert at == len(turn.path.text)


def test_code_is_executed_behind_that_of_earlier_steps(
    rollouts: Rollouts, prompts: list[StepPrompt], groups: list[tuple[WrittenTurn, ...]]
) -> None:
    for turn in (turn for group in groups for turn in group):
        for run in turn.path.code_runs:
            assert run.status in ("ok", "error", "syntax_error")
            assert wording.code_output(run.feedback) in turn.path.text
    later = prompts[-1]
    first_code = executed_code(later.turns[0])[0]
    assert "words = " in first_code
    assert any(run.status == "ok" for turn in groups[-1] for run in turn.path.code_runs)
    empty = StepPrompt(later.problem, later.steps, later.label, tuple("" for _ in later.turns))
    (alone,) = rollouts.write([empty], 2, seed=1)
    assert all("NameError" in turn.path.code_runs[0].feedback for turn in alone)


def recorded(monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, ...]]:
    """What sequences hold when they are closed."""
    held: set[tuple[int, ...]] = set()
    close = EngineSequence.close

    async def closing(sequence: EngineSequence) -> None:
        if sequence._state is not None:
            held.add(sequence.token_ids)
        await close(sequence)

    monkeypatch.setattr(EngineSequence, "close", closing)
    return held


@pytest.mark.parametrize(
    ("style", "history"),
    [("chat", History.STEPS), ("reference", History.RATIONALES)],
)
def test_a_verifier_shows_the_model_the_same_tokens(
    mini: Path, model: Any, style: Any, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = short_examples("arithmetic", 1)
    steps = [step.text for step in example.steps]
    settings = VerifierSettings(style, history, analysis_tokens=40, turn_tokens=160)
    held = recorded(monkeypatch)

    async def checked() -> tuple[str, ...]:
        async with (
            await TransformersBackend.load(mini) as backend,
            Verifier(backend=backend, settings=settings, sampling=Sampling(temperature=0)) as verifier,
        ):
            report = await verifier.check(steps, problem=example.problem, samples=1)
            return tuple(step.paths[0].text for step in report.steps)

    turns = asyncio.run(checked())
    by_verifier = set(held)
    asked = [
        StepPrompt(example.problem, tuple(steps[: index + 1]), True, turns[:index])
        for index in range(len(steps))
    ]
    with Rollouts(model, mini, settings=settings, temperature=0) as rollouts:
        written = rollouts.write(asked, 2, seed=0)
    for (one, other), text in zip(written, turns, strict=True):
        assert one.path.text == other.path.text == text
        assert ids_of(one) in by_verifier


def engine_logits(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[int, ...], Tensor]:
    """What the engine finds behind tokens, by those tokens."""
    found: dict[tuple[int, ...], Tensor] = {}
    advance = Scheduler._advance

    def advancing(scheduler: Scheduler, rows: Any, logits: Tensor) -> Any:
        found.update({tuple(row.prefix.tokens): logits[at].clone() for at, row in enumerate(rows)})
        return advance(scheduler, rows, logits)

    monkeypatch.setattr(Scheduler, "_advance", advancing)
    return found


def test_one_pass_over_the_tokens_finds_the_probabilities_they_were_drawn_with(
    mini: Path, model: Any, rollouts: Rollouts, prompts: list[StepPrompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = engine_logits(monkeypatch)
    weight = model.model.layers[0].mlp.up_proj.weight
    before = weight.detach().clone()
    try:
        for _ in range(2):
            found.clear()
            for turn in (turn for group in rollouts.write(prompts[:2], 2, seed=3) for turn in group):
                ids = ids_of(turn)
                with torch.no_grad():
                    whole = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
                places = [len(turn.prompt_ids) + at for at, own in enumerate(turn.mask) if own]
                drawn = torch.stack([found[ids[:place]].log_softmax(-1)[ids[place]] for place in places])
                expected = whole[[place - 1 for place in places], [ids[place] for place in places]]
                assert torch.allclose(drawn, expected, atol=TOLERANCE)
            with torch.no_grad():  # as a trainer would: in place, between two batches
                weight += 0.02 * torch.randn_like(weight)
    finally:
        with torch.no_grad():
            weight.copy_(before)


def test_a_turn_that_went_back_is_given_as_it_was_before(
    mini: Path, model: Any, tokenizer: Tokenizer, prompts: list[StepPrompt]
) -> None:
    settings = VerifierSettings("chat", History.STEPS, analysis_tokens=128, turn_tokens=90)
    with Rollouts(model, mini, settings=settings) as rollouts:
        (group,) = rollouts.write(prompts[-1:], 2, seed=0)
    for turn in group:
        assert turn.path.degraded == "tokens"
        assert turn.path.verdict is not None
        whole = shown(tokenizer, ids_of(turn))
        assert wording.VERIFY_OPENING in whole
        assert wording.VERDICT_OPENING not in whole
        assert turn.mask[-1] == 1


def test_reasoning_without_code_runs_none(
    mini: Path, rollouts: Rollouts, tokenizer: Tokenizer, prompts: list[StepPrompt]
) -> None:
    asked = prompts[0]
    direct = StepPrompt(asked.problem, asked.steps, asked.label, asked.turns, Reasoning.DIRECT)
    ((turn,),) = rollouts.write([direct], 1, seed=0)
    assert turn.path.text.startswith(wording.VERDICT_OPENING)
    assert wording.DIRECT_SYSTEM in shown(tokenizer, turn.prompt_ids)
    assert turn.path.code_runs == ()


def test_what_a_stop_leaves_of_a_token_was_not_drawn(mini: Path) -> None:
    async def marked() -> None:
        async with await TransformersBackend.load(mini) as backend:
            sequence = await backend.open([content(wording.analysis_opening(0))])
            assert sequence.drawn == (False,) * sequence.tokens
            begin = sequence.tokens
            probe = await sequence.fork()
            await probe.generate([], 12, Sampling(temperature=0))
            pieces = [backend.engine.vocabulary.piece(token) for token in probe.token_ids[begin:]]
            cut = next(at for at, piece in enumerate(pieces) if len(piece) > 1)
            stop = b"".join(pieces[: cut + 1])[:-1].decode()
            await sequence.generate([stop], 12, Sampling(temperature=0))
            tail = sequence.tokens - begin - cut
            assert sequence.drawn == (False,) * begin + (True,) * cut + (False,) * tail
            assert tail >= 1
            await sequence.append([content(" and")])
            fork = await sequence.fork()
            before = fork.tokens
            await fork.generate([], 2, Sampling(temperature=0))
            assert fork.drawn[:before] == sequence.drawn
            assert fork.drawn[before:] == (True, True)

    asyncio.run(marked())


def test_training_goes_on_in_the_mode_it_was_in(
    rollouts: Rollouts, model: Any, prompts: list[StepPrompt]
) -> None:
    model.train()
    try:
        rollouts.write(prompts[:1], 1, seed=0)
        assert model.training
    finally:
        model.eval()


def test_prompts_that_leave_no_room_are_known(mini: Path, model: Any, prompts: list[StepPrompt]) -> None:
    long = StepPrompt(prompts[0].problem, ("12 * 7 = 84. " * 400,), True, ())
    with Rollouts(model, mini, settings=settings_of(mini), context=2048) as rollouts:
        assert rollouts.fit([prompts[0], long]) == [True, False]


def test_closing_leaves_nothing(mini: Path, model: Any, prompts: list[StepPrompt]) -> None:
    threads, processes = set(threading.enumerate()), children(os.getpid())
    with Rollouts(model, mini, settings=settings_of(mini)) as rollouts:
        rollouts.write(prompts[:1], 1, seed=0)
        assert children(os.getpid()) - processes
    deadline = time.monotonic() + 5
    while not children(os.getpid()) <= processes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children(os.getpid()) <= processes  # one of an earlier test may have ended meanwhile
    assert set(threading.enumerate()) <= threads
    with pytest.raises(ClosedError, match="not open"):
        rollouts.write(prompts[:1], 1, seed=0)


def test_each_earlier_step_needs_a_verification() -> None:
    with pytest.raises(InputError, match="0 verifications of 1 earlier steps"):
        StepPrompt("1 + 1", ("1 + 1 = 2.", "So 2."), True, ())
