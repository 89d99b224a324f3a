"""The solver's attempts at fresh exercises, sampled in batches from a checkpoint."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from threading import Thread

import torch
from tokenizers import Tokenizer

from genprm_sdk.types import split_steps

from .memory import keep_freed_memory
from .sft import Shape, build_model, load_tied
from .solving import Attempt, encode_prompt
from .tokenizer import SPECIAL_TOKENS
from .worlds import WORLDS, Exercise, boxed_answer

__all__ = ["draw_exercises", "is_right", "sample_attempts"]

BATCH = 32
LONGEST = 1280
"""New tokens; an attempt that is longer is left out."""


def draw_exercises(
    domains: Sequence[str], count: int, seed: str, *, practice: bool = False
) -> list[Exercise]:
    """``count`` fresh exercises of each domain: those to measure a solver by, or those to learn from."""
    return [
        (world.practice if practice else world.exercise)(random.Random(f"{seed}/{world.name}/{number}"))
        for world in map(WORLDS.__getitem__, domains)
        for number in range(count)
    ]


def is_right(attempt: Attempt, answer: str) -> bool:
    """Whether the attempt's boxed answer is the exercise's."""
    return bool(attempt.steps) and boxed_answer(attempt.steps[-1]) == answer


@dataclass(frozen=True)
class _Sampling:
    """What decides the attempts, beside the exercises."""

    weights: Mapping[str, torch.Tensor]
    shape: Shape
    tokenizer: str
    temperature: float
    seed: int
    device: str
    longest: int


class _Sampler:
    """A solver that attempts exercises a batch at a time."""

    def __init__(self, sampling: _Sampling) -> None:
        self._sampling = sampling
        self._tokenizer = Tokenizer.from_str(sampling.tokenizer)
        model = build_model(sampling.shape, 0, attention="sdpa")
        load_tied(model, sampling.weights)
        self._model = model.to(sampling.device, torch.bfloat16).eval()

    def attempts(self, number: int, exercises: Sequence[Exercise]) -> list[Attempt]:
        """Attempts at one batch of exercises; those that do not end are left out."""
        sampling, tokenizer = self._sampling, self._tokenizer
        end = tokenizer.token_to_id(SPECIAL_TOKENS[2])
        prompts = [encode_prompt(exercise.problem, tokenizer) for exercise in exercises]
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        torch.manual_seed(sampling.seed * 1_000_003 + number)
        with torch.no_grad():
            written = self._model.generate(
                input_ids=ids.to(sampling.device),
                attention_mask=mask.to(sampling.device),
                do_sample=True,
                temperature=sampling.temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=sampling.longest,
                eos_token_id=end,
                pad_token_id=0,
                use_cache=True,
            )
        attempts = []
        for row, exercise in zip(written[:, width:].tolist(), exercises, strict=True):
            if end in row:
                text = tokenizer.decode(row[: row.index(end)], skip_special_tokens=False)
                if steps := tuple(split_steps(text)):
                    attempts.append(Attempt(exercise.domain, exercise.problem, exercise.steps, steps))
        return attempts


_samplers: list[_Sampler] = []
"""A pool's process has one, which its beginning makes."""


def _begin(sampling: _Sampling) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches whoever they work for, too, who ends the pool
    torch.set_num_threads(1)
    keep_freed_memory()
    # A pool's processes do not notice by themselves that whoever they work for was killed.
    Thread(target=_end_with_the_parent, daemon=True).start()
    _samplers.append(_Sampler(sampling))


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _attempts(number: int, exercises: Sequence[Exercise]) -> list[Attempt]:
    return _samplers[0].attempts(number, exercises)


def sample_attempts(
    weights: Mapping[str, torch.Tensor],
    shape: Shape,
    tokenizer: Tokenizer,
    exercises: Sequence[Exercise],
    temperature: float = 0.7,
    seed: int = 0,
    device: str = "cpu",
    processes: int = 1,
    longest: int = LONGEST,
) -> Iterator[Attempt]:
    """Let the solver try each exercise once; attempts that do not end are left out.

    Args:
        weights: The solver's weights, by ``transformers``' names.
        shape: Its sizes.
        tokenizer: Its vocabulary.
        exercises: What to solve.
        temperature: Of the sampling; no other truncation.
        seed: Determines what is sampled, on one machine.
        device: Where to run.
        processes: How many batches are sampled at a time; the attempts do not depend on it.
        longest: New tokens at most.
    """
    sampling = _Sampling(weights, shape, tokenizer.to_str(), temperature, seed, device, longest)
    ordered = sorted(exercises, key=lambda exercise: len(encode_prompt(exercise.problem, tokenizer)))
    batches = [ordered[first : first + BATCH] for first in range(0, len(ordered), BATCH)]
    if processes == 1:
        sampler = _Sampler(sampling)
        for number, batch in enumerate(batches):
            yield from sampler.attempts(number, batch)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (sampling,)) as pool:
        for attempts in pool.map(_attempts, range(len(batches)), batches):
            yield from attempts
