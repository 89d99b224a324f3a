"""Train the model of one recipe, resumably, and export it.

    python -m genprm_sdk.training.run policy-mini --out build/policy-mini
    python -m genprm_sdk.training.run genprm-mini --out build/genprm-mini --solver build/policy-mini

Run it again after an interruption and it goes on from the last checkpoint; Ctrl-C and SIGTERM finish the step
and write one. ``--minutes`` ends a run in time on a machine that is lent by the minute. ``--start`` begins
with a finished model, for instance to teach it a domain more.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from genprm_sdk.errors import ModelError
from genprm_sdk.models import find_model

from .checkpoint import check_identity, latest_step
from .curve import Curve
from .dataset import example_texts
from .export import PolicyCard, VerifierCard, export_model
from .memory import keep_freed_memory
from .recipe import Recipe, RecipeError, bundled_recipe, load_recipe
from .sampling import draw_exercises, sample_attempts
from .sft import Progress, identity_of, load_weights, train
from .solving import exercise_texts, read_attempts, write_attempts
from .sources import probes_of, source_of
from .stopping import Stop, asked_to_stop, interruptible, never
from .team import Team, TeamError, leading, usable_cores
from .tokenizer import load_tokenizer, train_tokenizer
from .trained import TrainedModel, model_of_file, trained_model
from .worlds import WORLDS

__all__ = ["Limits", "main", "run_recipe"]


def tokenizer_of(recipe: Recipe, folder: Path) -> Tokenizer:
    """The vocabulary in the folder, learnt first if there is none."""
    path = folder / "tokenizer.json"
    if not path.exists():
        _say(f"learning a vocabulary of {recipe.vocabulary.size:,} tokens")
        rng = random.Random(f"vocabulary/{recipe.vocabulary.examples}")
        texts: list[str] = []
        for name in sorted(WORLDS):
            for _ in range(recipe.vocabulary.examples):
                texts += example_texts(WORLDS[name].example(rng), rng)
                texts += exercise_texts(WORLDS[name].practice(rng))
        tokenizer = train_tokenizer(texts, recipe.vocabulary.size)
        tokenizer.save(str(path.with_suffix(".part")))
        path.with_suffix(".part").replace(path)
    return load_tokenizer(path)


def rest_of_identity(recipe: Recipe, tokenizer: Tokenizer, start: Path | None = None) -> dict[str, object]:
    """What decides the weights beside shape and schedule."""
    # Checkpoints from before there was a choice of history go on.
    left_out = {"shape", "schedule"} | ({"history"} if recipe.history == "steps" else set())
    fields = recipe.model_dump(mode="json", exclude=left_out)
    digest = hashlib.sha256(tokenizer.to_str().encode()).hexdigest()
    rest: dict[str, object] = {"recipe": fields, "tokenizer": digest}
    if start is not None:
        rest["start"] = hashlib.sha256(start.read_bytes()).hexdigest()
    return rest


@dataclass(frozen=True)
class Limits:
    """Where this process stops before the recipe's end: behind a step, or after some minutes."""

    until: int | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Machine:
    """What a training runs on.

    Attributes:
        device: ``cpu``, ``cuda``, …; None takes a GPU where there is one.
        processes: How many train together, or sample.
        threads: Each one's CPU threads; None leaves torch's own choice.
    """

    device: str | None = None
    processes: int = 1
    threads: int | None = 1


def machine_of(device: str | None = None, processes: int | None = None, threads: int = 1) -> Machine:
    """All cores of a CPU, up to four, with a process each, or one GPU."""
    on_cpu = device == "cpu" or (device is None and not torch.cuda.is_available())
    return Machine(device, processes or (usable_cores() if on_cpu else 1), threads)


def attempts_of(recipe: Recipe, solver: Path, folder: Path, machine: Machine) -> Path:
    """The file of the solver's attempts, sampled first if there is none.

    It lies in the solver's folder, or in the run's own where the solver is a file.

    Raises:
        ValueError: The solver has not been trained as far as the second round.
    """
    path = (solver if solver.is_dir() else folder) / "attempts.jsonl"
    if not path.exists():
        if recipe.attempts is None:
            raise RecipeError(f"{recipe.model} has no second round")
        if solver.is_dir():
            _check_far_enough(solver)
        model = trained_model(solver)
        exercises = draw_exercises(model.domains, recipe.attempts.for_each_domain, "attempts", practice=True)
        _say(f"sampling {len(exercises):,} attempts of {model.name}")
        attempts = sample_attempts(
            model.weights,
            model.shape,
            model.tokenizer,
            exercises,
            recipe.attempts.temperature,
            device=machine.device or "cpu",
            processes=machine.processes,
        )
        write_attempts(path, attempts)
    return path


def _check_far_enough(folder: Path) -> None:
    solver = load_recipe(folder / "recipe.yaml")
    reached = latest_step(folder / "checkpoints") or 0
    needed = solver.attempts.from_step if solver.attempts else solver.schedule.steps
    if reached < needed:
        raise ValueError(f"the solver in {folder} is at step {reached} of {needed}: train it first")


@dataclass(frozen=True)
class _Round:
    """What every process of a team is given to train until a step."""

    recipe: Recipe
    folder: Path
    attempts: Path | None
    initial: dict[str, torch.Tensor] | None
    start: Path | None
    until: int
    minutes: float | None
    machine: Machine

    def progresses(self, team: Team, *, measured: bool, stop: Stop = never) -> Iterator[Progress]:
        recipe = self.recipe
        tokenizer = tokenizer_of(recipe, self.folder)
        attempts = None if self.attempts is None else read_attempts(self.attempts)
        return train(
            recipe.shape,
            source_of(recipe, tokenizer, attempts),
            recipe.schedule,
            self.folder / "checkpoints",
            identity=rest_of_identity(recipe, tokenizer, self.start),
            initial=self.initial,
            probes=probes_of(recipe, tokenizer) if measured else None,
            device=self.machine.device,
            threads=self.machine.threads,
            until=self.until,
            minutes=self.minutes,
            stop=stop,
            team=team,
        )


def _train_along(team: Team, part: _Round) -> None:
    keep_freed_memory()
    for _ in part.progresses(team, measured=False):
        pass


def run_recipe(
    recipe: Recipe,
    folder: Path,
    solver: Path | None = None,
    limits: Limits | None = None,
    machine: Machine | None = None,
    start: Path | None = None,
) -> Path | None:
    """Train, or go on training; returns the GGUF file once the recipe is done.

    SIGINT and SIGTERM in a round finish the step and leave a checkpoint, and there is no file then.

    Args:
        recipe: What to train.
        folder: Where vocabulary, checkpoints, curve and result lie.
        solver: The trained solver, for a verifier with a second round: its run's folder, or its file.
        limits: Where to stop before the end.
        machine: What to run on; by default a GPU if there is one, else all cores up to four.
        start: A model file to begin with, in place of fresh weights or the solver's; its vocabulary stays.
    """
    limits, machine = limits or Limits(), machine or machine_of()
    keep_freed_memory()
    folder.mkdir(parents=True, exist_ok=True)
    started = None if start is None else model_of_file(start)
    if started is not None and not (folder / "tokenizer.json").exists():
        started.tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer = tokenizer_of(recipe, folder)
    checkpoints = folder / "checkpoints"
    rest = rest_of_identity(recipe, tokenizer, start)
    check_identity(checkpoints, identity_of(recipe.shape, recipe.schedule, rest))
    (folder / "recipe.yaml").write_text(
        json.dumps(recipe.model_dump(mode="json"), indent=1), encoding="utf-8"
    )
    initial = None
    if latest_step(checkpoints) is None:
        if started is None and recipe.start_from_solver:
            started = trained_model(_solver(solver))
        if started is not None:
            initial = _weights_to_start_from(started, recipe, tokenizer)
    for until, attempts_needed in _rounds(recipe, limits.until):
        reached = latest_step(checkpoints) or 0
        if reached >= until:
            continue
        attempts = None
        if attempts_needed:
            its_solver = _solver(solver) if recipe.role == "verifier" else folder
            attempts = attempts_of(recipe, its_solver, folder, machine)
        part = _Round(recipe, folder, attempts, initial, start, until, limits.minutes, machine)
        curve = Curve(folder, reached)
        with asked_to_stop() as stop, leading(machine.processes, _train_along, part) as team:
            for progress in part.progresses(team, measured=True, stop=stop):
                curve.add(progress)
                _report(progress)
        if stop() or (latest_step(checkpoints) or 0) < until:
            break
    if (latest_step(checkpoints) or 0) < recipe.schedule.steps:
        return None
    return _export(recipe, folder, tokenizer)


def _solver(path: Path | None) -> Path:
    if path is None:
        raise ValueError("the recipe needs a trained solver: give its folder or its file with --solver")
    return path


def _run_or_file(given: str) -> Path:
    path = Path(given)
    return path if path.is_dir() else find_model(given)[1]


def _weights_to_start_from(
    model: TrainedModel, recipe: Recipe, tokenizer: Tokenizer
) -> dict[str, torch.Tensor]:
    if model.tokenizer.to_str() != tokenizer.to_str():
        raise RecipeError(f"{recipe.model} cannot start from {model.name}: their vocabularies differ")
    if replace(model.shape, context=recipe.shape.context) != recipe.shape:
        raise RecipeError(f"{recipe.model} cannot start from {model.name}: their shapes differ")
    return model.weights


def _rounds(recipe: Recipe, until: int | None) -> Iterator[tuple[int, bool]]:
    last = recipe.schedule.steps if until is None else min(until, recipe.schedule.steps)
    second = recipe.attempts.from_step if recipe.attempts else last
    if second > 0:
        yield min(second, last), False
    if second < last:
        yield last, True


def _export(recipe: Recipe, folder: Path, tokenizer: Tokenizer) -> Path:
    result = folder / f"{recipe.model}.gguf"
    domains = tuple(recipe.shares)
    card: VerifierCard | PolicyCard = PolicyCard(name=recipe.model, domains=domains)
    if recipe.role == "verifier":
        card = VerifierCard(
            name=recipe.model,
            domains=domains,
            reasoning=recipe.mix.reasoning,
            history=recipe.history,
            analysis_tokens=recipe.analysis_tokens,
            turn_tokens=recipe.turn_tokens,
        )
    export_model(load_weights(recipe.shape, folder / "checkpoints"), recipe.shape, tokenizer, card, result)
    return result


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _report(progress: Progress) -> None:
    if progress.step % 100 == 0 or progress.exact:
        _say(
            f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}"
            f"  {progress.tokens_per_second:,.0f} tokens/s  {progress.seconds_left / 60:.0f} min left"
        )
    if progress.exact:
        _say("  exact on fresh problems: " + "  ".join(f"{n} {s:.0%}" for n, s in progress.exact.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 2 for input that is wrong, 3 where a limit or a signal ended the run."""
    parser = argparse.ArgumentParser(description="Train the model of a recipe and export it.")
    parser.add_argument("recipe", help="a bundled recipe's name, or a YAML file")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument(
        "--solver",
        help="the trained solver of a verifier's second round: its folder, its file or a bundled one's name",
    )
    parser.add_argument(
        "--start", help="a finished model to go on training: its file or a bundled one's name"
    )
    parser.add_argument("--device", help="cpu, cuda, …; by default a GPU where there is one")
    parser.add_argument(
        "--processes", type=int, help="how many train together; by default all cores, up to 4"
    )
    parser.add_argument("--threads", type=int, default=1, help="each one's CPU threads (1)")
    parser.add_argument("--minutes", type=float, help="stop with a checkpoint after so many minutes")
    parser.add_argument("--until", type=int, help="stop with a checkpoint after this step")
    given = parser.parse_args(arguments)
    try:
        path = Path(given.recipe)
        recipe = load_recipe(path if path.suffix == ".yaml" else bundled_recipe(given.recipe))
        limits = Limits(given.until, given.minutes)
        machine = machine_of(given.device, given.processes, given.threads)
        start = None if given.start is None else find_model(given.start)[1]
        solver = None if given.solver is None else _run_or_file(given.solver)
        with interruptible():
            result = run_recipe(recipe, given.out, solver, limits, machine, start)
    except KeyboardInterrupt:
        result = None
    except (ValueError, OSError, ModelError) as error:
        _say(f"error: {error}")
        return 2
    except TeamError as error:
        _say(f"error: {error}")
        return 1
    _say(f"wrote {result}" if result else "stopped before the end: run it again to go on")
    return 0 if result else 3


if __name__ == "__main__":
    sys.exit(main())
