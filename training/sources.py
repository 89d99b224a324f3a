"""What a recipe's training draws from: worlds, and the solver's attempts from the second round on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tokenizers import Tokenizer

from genprm_sdk.modes import Reasoning

from .dataset import Mix, choose_steps, encode_conversation, encode_verifications
from .packing import Tree
from .recipe import Recipe
from .sft import TreeSource
from .solving import Attempt, attempt_example, encode_exercise, encode_repair
from .worlds import WORLDS, Example

__all__ = ["probes_of", "source_of"]

EXECUTED = Mix(unexecuted=0, analysis_only=0, code_only=0, rewritten=0)
WRONG_PREFERRED = 0.5
"""Share of the drawn attempts that must be wrong ones, where the solver's right ones prevail."""


class _Attempts:
    """The readable attempts of the recipe's domains, right and wrong ones apart."""

    def __init__(self, attempts: Sequence[Attempt], domains: Sequence[str]) -> None:
        read = [
            (attempt, example)
            for attempt in attempts
            if attempt.domain in domains and (example := attempt_example(attempt)) is not None
        ]
        self._wrong = [pair for pair in read if pair[1].first_error is not None]
        self._any = read
        self.false_reasons = [
            step.rationale.conclusion
            for _, example in self._wrong
            for step in example.steps
            if not step.correct
        ]
        if not self._wrong:
            raise ValueError("none of the attempts is wrong in a way that its world can tell")

    def draw(self, rng: random.Random) -> tuple[Attempt, Example]:
        return rng.choice(self._wrong if rng.random() < WRONG_PREFERRED else self._any)


def source_of(recipe: Recipe, tokenizer: Tokenizer, attempts: Sequence[Attempt] | None = None) -> TreeSource:
    """The trees of a recipe's training, a function of generator and step.

    Args:
        recipe: What to train.
        tokenizer: Its vocabulary.
        attempts: The solver's solutions; needed from the recipe's second round on.

    Raises:
        ValueError: No attempt is of use.
    """
    names, shares = list(recipe.shares), list(recipe.shares.values())
    own = None if attempts is None else _Attempts(attempts, names)

    def of_world(rng: random.Random, longest: int) -> Tree | None:
        name = rng.choices(names, shares)[0]
        world, its = WORLDS[name], rng
        if recipe.distinct is not None:
            its = random.Random(f"{recipe.schedule.seed}/distinct/{name}/{rng.randrange(recipe.distinct)}")
        if recipe.role == "verifier":
            return verifications(world.example(its), rng, longest)
        return _short_enough(encode_exercise(world.practice(its), tokenizer), longest)

    def verifications(example: Example, rng: random.Random, longest: int) -> Tree | None:
        at_most = recipe.branches.get(example.domain, recipe.branches["others"])
        return _verifications(recipe, example, at_most, tokenizer, recipe.mix, rng, longest)

    def of_attempts(own: _Attempts, rng: random.Random, longest: int) -> Tree | None:
        attempt, example = own.draw(rng)
        if recipe.role == "verifier":
            return verifications(example, rng, longest)
        return _short_enough(encode_repair(attempt, example, own.false_reasons, tokenizer, rng), longest)

    def draw(rng: random.Random, step: int, longest: int) -> Tree | None:
        second = recipe.attempts is not None and step >= recipe.attempts.from_step
        if second and recipe.attempts is not None and rng.random() < recipe.attempts.share:
            if own is None:
                raise ValueError(
                    f"from step {recipe.attempts.from_step} on the recipe needs the solver's attempts"
                )
            return of_attempts(own, rng, longest)
        return of_world(rng, longest)

    return draw


def _verifications(
    recipe: Recipe,
    example: Example,
    at_most: int,
    tokenizer: Tokenizer,
    mix: Mix,
    rng: random.Random,
    longest: int,
) -> Tree | None:
    if recipe.history == "rationales":
        return encode_conversation(example, tokenizer, mix, rng, longest)
    return encode_verifications(example, choose_steps(example, rng, at_most), tokenizer, mix, rng, longest)


def _short_enough(tree: Tree, longest: int) -> Tree | None:
    return tree if len(tree.trunk) <= longest else None


def probes_of(recipe: Recipe, tokenizer: Tokenizer, count: int = 16) -> dict[str, list[Tree]]:
    """Trees of fresh problems by domain, to measure a training by as it goes."""
    make: Callable[[str, random.Random], Tree | None]
    if recipe.role == "verifier":
        mix = EXECUTED if recipe.mix.reasoning is Reasoning.ANALYSIS_CODE else recipe.mix

        def make(name: str, rng: random.Random) -> Tree | None:
            example = WORLDS[name].example(rng)
            return _verifications(recipe, example, 3, tokenizer, mix, rng, recipe.schedule.longest)
    else:

        def make(name: str, rng: random.Random) -> Tree | None:
            return encode_exercise(WORLDS[name].exercise(rng), tokenizer)

    probes = {}
    for name in recipe.shares:
        rng = random.Random(f"{recipe.schedule.seed}/probe/{name}")
        trees = (make(name, rng) for _ in range(count))
        probes[name] = [tree for tree in trees if tree is not None]
    return probes
