"""The solver's attempts at fresh exercises, sampled in batches from a checkpoint."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

import torch
from tokenizers import Tokenizer

from genprm_sdk.types import split_steps

from .sft import Shape, build_model, load_tied
from .solving import Attempt, encode_prompt
from .tokenizer import SPECIAL_TOKENS
from .worlds import WORLDS, Exercise, boxed_answer

__all__ = ["draw_exercises", "is_right", "sample_attempts"]

BATCH = 128
LONGEST = 400
"""New tokens at most; an attempt that is longer is left out."""


def draw_exercises(domains: Sequence[str], count: int, seed: str) -> list[Exercise]:
    """``count`` fresh exercises of each domain."""
    return [
        WORLDS[domain].exercise(random.Random(f"{seed}/{domain}/{number}"))
        for domain in domains
        for number in range(count)
    ]


def is_right(attempt: Attempt, answer: str) -> bool:
    """Whether the attempt's boxed answer is the exercise's."""
    return bool(attempt.steps) and boxed_answer(attempt.steps[-1]) == answer


def sample_attempts(
    weights: Mapping[str, torch.Tensor],
    shape: Shape,
    tokenizer: Tokenizer,
    exercises: Sequence[Exercise],
    temperature: float = 0.7,
    seed: int = 0,
    device: str = "cpu",
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
    """
    model = build_model(shape, 0, attention="sdpa").to(device).eval()
    load_tied(model, weights)
    end = tokenizer.token_to_id(SPECIAL_TOKENS[2])
    torch.manual_seed(seed)
    prompts = sorted(
        ((encode_prompt(exercise.problem, tokenizer), exercise) for exercise in exercises),
        key=lambda pair: len(pair[0]),
    )
    for first in range(0, len(prompts), BATCH):
        chunk = prompts[first : first + BATCH]
        width = max(len(ids) for ids, _ in chunk)
        ids = torch.tensor([[0] * (width - len(ids)) + ids for ids, _ in chunk], device=device)
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids, _ in chunk], device=device)
        with torch.no_grad():
            written = model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=True,
                temperature=temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=LONGEST,
                eos_token_id=end,
                pad_token_id=0,
                use_cache=True,
            )
        for row, (_, exercise) in zip(written[:, width:].tolist(), chunk, strict=True):
            if end in row:
                text = tokenizer.decode(row[: row.index(end)], skip_special_tokens=False)
                steps = tuple(split_steps(text))
                if steps:
                    yield Attempt(exercise.domain, exercise.problem, exercise.steps, steps)
