"""How much of everything a reproduction takes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SCALES", "Scale"]


@dataclass(frozen=True)
class Scale:
    """Sizes of the experiments.

    Attributes:
        name: What it is called on the command line.
        domains: Whose solutions the bundled verifier judges.
        solutions: Fresh solutions of each domain.
        samples: The most paths of a step.
        variant_samples: Paths of a step where variants are compared.
        training_steps: Of each small verifier that begins with a solver's weights.
        training_steps_from_nothing: Of each that does not.
        turn_tokens: Their budget for a verification.
        pool: Different examples that stand for the whole of the training data.
        label_problems: Of each domain, for the quality of labels.
        completions: Monte Carlo completions of a prefix.
        pipeline_problems: Whose solutions verifiers are trained on further, labelled by each rule.
        problems: Of each domain, for refinement and Best-of-N.
        attempts: The most attempts of Best-of-N.
        rl_steps: Of the reinforcement behind the training.
        rl_batch: Prompts of each of them, and generations of each prompt.
    """

    name: str
    domains: tuple[str, ...]
    solutions: int
    samples: int
    variant_samples: int
    training_steps: int
    training_steps_from_nothing: int
    turn_tokens: int
    pool: int
    label_problems: int
    completions: int
    pipeline_problems: int
    problems: int
    attempts: int
    rl_steps: int
    rl_batch: int


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="smoke",
            domains=("arithmetic",),
            solutions=4,
            samples=2,
            variant_samples=2,
            training_steps=4,
            training_steps_from_nothing=4,
            turn_tokens=60,
            pool=40,
            label_problems=2,
            completions=8,
            pipeline_problems=12,
            problems=3,
            attempts=2,
            rl_steps=1,
            rl_batch=2,
        ),
        Scale(
            name="full",
            domains=("arithmetic", "word_problems", "tracking"),
            solutions=80,
            samples=16,
            variant_samples=4,
            training_steps=500,
            training_steps_from_nothing=3000,
            turn_tokens=512,
            pool=2000,
            label_problems=12,
            completions=128,
            pipeline_problems=800,
            problems=100,
            attempts=16,
            rl_steps=30,
            rl_batch=8,
        ),
    )
}
