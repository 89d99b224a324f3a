"""Options that several commands share, and groups of them as dataclasses."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from ..errors import InputError
from ..options import MOST_SAMPLES, Adaptive, Budget, adaptive_of
from ..sandbox import Isolation

__all__ = [
    "Exact",
    "File",
    "IsolationOption",
    "Limit",
    "Model",
    "Samples",
    "Seed",
    "Threads",
    "adaptive_option",
    "budget_option",
    "folder_name",
    "grouped",
]

LARGEST_SEED = 2**64 - 1

File = Annotated[str, typer.Argument(metavar="FILE", help="A JSON object, array, or lines; - is stdin.")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="A name that `genprm models` lists, a GGUF file, a folder of safetensors, owner/repo of a hub, "
        "or a server's address.",
    ),
]
Samples = Annotated[
    int,
    typer.Option("--samples", min=1, max=MOST_SAMPLES, help="Independent verification paths a solution."),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Decides what is drawn; see --exact.")
]
Exact = Annotated[
    bool, typer.Option("--exact", help="The same seed gives the same result, whatever else runs; slower.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first records of each file.")]
IsolationOption = Annotated[
    Isolation | None,
    typer.Option(
        "--isolation", help="What must stand between code and this machine, if not the system's own wall."
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads of the engine.")]


def folder_name(text: str) -> Path:
    """A folder that the user names; a blank name would be the current folder, which nobody means by it."""
    if not text.strip():
        raise typer.BadParameter("the folder's name is empty: give one, or . for the current folder")
    return Path(text)


@contextmanager
def naming(option: str, field: str) -> Iterator[None]:
    """Have an error name the option that the user gave, not the field that it fills."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(field, option)) from None


def budget_option(samples: int | None, tokens: int | None, seconds: float | None) -> Budget:
    """What --max-samples, --max-tokens and --max-seconds come to."""
    with naming("--max-seconds", "Budget.seconds"):
        return Budget(samples, tokens, seconds)


def adaptive_option(text: str) -> Adaptive | bool | Literal["auto"]:
    """What --adaptive comes to."""
    with naming("--adaptive", "Adaptive.error"):
        return adaptive_of(text)


def grouped(command: Callable[..., int]) -> Callable[..., int]:
    """A command in which every parameter that is a dataclass stands for its fields, an option each."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, type[Any]] = {}
    flat: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        group = parameter.annotation
        if not (isinstance(group, type) and is_dataclass(group)):
            flat.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[name] = group
        kinds = get_type_hints(group, include_extras=True)
        flat += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=kinds[field.name],
            )
            for field in fields(group)
        ]

    @functools.wraps(command)
    def run(**given: Any) -> int:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return command(**given)

    run.__signature__ = signature.replace(parameters=flat)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return run
