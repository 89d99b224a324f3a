"""Which engine runs a model, and how it is loaded there."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass, fields
from typing import Literal, get_args

from ..arguments import one_of, shown, whole_number
from ..errors import InputError
from ..models import Located, fetch, locate
from .base import Backend

__all__ = ["Engine", "LoadOptions", "ModelSource", "find_source"]

Engine = Literal["llama.cpp", "transformers", "openai"]
"""``llama.cpp`` runs GGUF files, ``transformers`` safetensors, ``openai`` is a server with that API."""

ENGINE_OF: dict[str, Engine] = {"gguf": "llama.cpp", "folder": "transformers", "server": "openai"}

TAKES: dict[Engine, tuple[str, ...]] = {
    "llama.cpp": ("threads", "context", "capacity", "exact"),
    "transformers": ("threads", "context", "capacity"),
    "openai": ("context", "capacity"),
}


@dataclass(frozen=True)
class LoadOptions:
    """What every caller may ask of an engine; see ``LlamaCppBackend.load``.

    Attributes:
        threads: CPU threads.
        context: Tokens a sequence can hold.
        capacity: Sequences evaluated at once.
        exact: Whether results must not depend on what else runs.
    """

    threads: int | None = None
    context: int | None = None
    capacity: int | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        for name in ("threads", "context", "capacity"):
            if getattr(self, name) is not None:
                whole_number(getattr(self, name), name)
        if type(self.exact) is not bool:
            raise InputError(f"exact must be true or false, not {shown(self.exact)}")

    def given(self) -> list[str]:
        """The names of those that are not left to the engine."""
        return [field.name for field in fields(self) if getattr(self, field.name) not in (None, False)]


@dataclass(frozen=True)
class ModelSource:
    """A model, the engine that runs it, and how.

    Attributes:
        located: What the model's name stands for.
        engine: What runs it.
        options: How.
    """

    located: Located
    engine: Engine
    options: LoadOptions

    async def load(self) -> Backend:
        """Load it, from a hub if need be.

        Raises:
            GenPRMError: It cannot be fetched or loaded; see ``models.fetch`` and the engines.
        """
        options, name = self.options, self.located.name
        if self.engine == "openai":
            from .openai import DEFAULT_CAPACITY, OpenAIBackend

            return await OpenAIBackend.connect(
                self.located.urls, context=options.context, capacity=options.capacity or DEFAULT_CAPACITY
            )
        path = await fetch(self.located)
        if self.engine == "llama.cpp":
            from .llama_cpp import LlamaCppBackend

            return await LlamaCppBackend.load(
                path,
                name=name,
                context=options.context,
                capacity=options.capacity,
                threads=options.threads,
                exact=options.exact,
            )
        from .transformers import TransformersBackend

        return await TransformersBackend.load(
            path,
            name=name,
            context=options.context,
            capacity=options.capacity,
            threads=options.threads,
        )

    def key(self) -> Hashable:
        """The same for what can share a loaded model; a file that was written anew is another one."""
        path = self.located.path
        if path is None:
            return self
        file = path / "config.json" if path.is_dir() else path
        about = file.stat()
        return (self, path.resolve(), about.st_mtime_ns, about.st_size)


def find_source(model: str | os.PathLike[str], engine: str | None, options: LoadOptions) -> ModelSource:
    """Decide what runs a model.

    Args:
        model: What ``models.locate`` takes.
        engine: What shall run it; by default what its kind needs.
        options: How.

    Raises:
        UnknownModelError: There is no such model.
        InputError: This engine cannot run it, or takes no such option.
    """
    if not isinstance(model, str | os.PathLike):
        raise InputError(f"model must be a name, a path or an address, not {type(model).__name__}")
    located = locate(model)
    hub = located.hub
    needed = ENGINE_OF["gguf" if hub.gguf else "folder"] if hub is not None else ENGINE_OF[located.kind]
    if engine is not None:
        one_of(get_args(Engine), engine, "backend")
    if engine not in (None, needed):
        raise InputError(f"{located.name} is for the backend {needed}, and {engine} cannot run it")
    for name in options.given():
        if name not in TAKES[needed]:
            raise InputError(f"{name} is not for the backend {needed}: leave it out")
    return ModelSource(located, needed, options)
