"""How policies and critics are opened by a name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ..arguments import instance_of
from ..backends.base import Backend, Sampling
from ..backends.loading import LoadOptions, find_source
from ..backends.shared import shared_backend
from ..errors import InputError, ModelFileError
from ..models import VerifierSettings
from ..options import CheckOptions
from ..scoring import Aggregate
from ..verifier import Verifier
from .backend_policy import POLICY_SAMPLING, BackendPolicy
from .chat_policy import ChatPolicy, PrefilledChatPolicy
from .critic import Evidence, VerifierCritic, require_usable
from .policy import Policy
from .remembering import RememberingBackend

__all__ = ["is_chat", "open_critic", "open_policy"]


@asynccontextmanager
async def open_policy(
    name: str | os.PathLike[str] = "policy-mini",
    *,
    model: str | None = None,
    sampling: Sampling = POLICY_SAMPLING,
    max_tokens: int = 2048,
    completions: bool = False,
    prefill: bool = False,
    system: str | None = None,
    threads: int | None = None,
    capacity: int | None = None,
    exact: bool = False,
) -> AsyncIterator[Policy]:
    """Open a policy.

    Args:
        name: A model as ``models.locate`` takes it, such as the bundled ``policy-mini``, or the address of an
            OpenAI-compatible chat API.
        model: The model's name at that address; by default the only one it serves.
        sampling: How it draws; ``top_k`` and ``min_p`` do not reach a chat API.
        max_tokens: Of one answer, at most.
        completions: Whether the address is used by its completions API, which can continue a text.
        prefill: Whether the chat API at the address goes on behind the assistant's message; see
            ``PrefilledChatPolicy``.
        system: A system message, for models that run here.
        threads: CPU threads.
        capacity: Sequences evaluated at once.
        exact: Whether a draw must not depend on what else runs.

    Raises:
        GenPRMError: It cannot be opened.
    """
    instance_of(Sampling, sampling, "sampling")
    if is_chat(name, model=model, completions=completions, prefill=prefill):
        kind = PrefilledChatPolicy if prefill else ChatPolicy
        async with kind(
            model or "",
            url=str(name),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=max_tokens,
        ) as chat:
            if model is None:
                chat.name = await _served(chat)
            yield chat
        return
    source = find_source(name, None, LoadOptions(threads, None, capacity, exact))
    key = await asyncio.to_thread(source.key)
    async with shared_backend(key, source.load) as backend:
        require_role("policy", backend, name)
        yield BackendPolicy(backend, sampling=sampling, max_tokens=max_tokens, system=system)


def is_chat(
    name: str | os.PathLike[str],
    *,
    model: str | None = None,
    completions: bool = False,
    prefill: bool = False,
) -> bool:
    """Whether ``open_policy`` opens a chat API for these.

    Raises:
        InputError: It does not, and one of them is for chat APIs alone; or the name is none.
    """
    if not isinstance(name, str | os.PathLike):
        raise InputError(f"name must be a name, a path or an address, not {type(name).__name__}")
    name = os.fspath(name)
    if name.startswith(("http://", "https://")) and not completions:
        return True
    if prefill:
        raise InputError(
            f"prefill is for the address of a chat API: leave it out, {name:.80} continues texts without it"
        )
    if model is not None:
        raise InputError("model is for the address of a chat API: leave it out")
    return False


SUCH_AS = {"policy": "solves problems, such as policy-mini", "verifier": "verifies, such as genprm-mini"}


def require_role(wanted: str, backend: Backend, name: str | os.PathLike[str]) -> None:
    """Refuse a model whose file says that it was trained for something else.

    Raises:
        ModelFileError: It does.
    """
    role = backend.metadata.get("genprm.role", wanted)
    if role != wanted:
        raise ModelFileError(
            f"{os.fspath(name)} is a {role}, not a {wanted}: give a model that {SUCH_AS[wanted]}"
        )


async def _served(chat: ChatPolicy) -> str:
    names = await chat.served()
    if len(names) != 1:
        raise InputError(
            f"the chat API serves {len(names)} models, name one as model: {', '.join(names)[:500]}"
            if names
            else "the chat API does not tell which models it serves: name one as model"
        )
    return names[0]


@asynccontextmanager
async def open_critic(
    name: str = "genprm-mini",
    *,
    evidence: Evidence | None = None,
    by: Aggregate = "min",
    options: CheckOptions | None = None,
    threads: int | None = None,
    capacity: int | None = None,
    exact: bool = False,
    **verifier: Any,
) -> AsyncIterator[VerifierCritic]:
    """Open a verifier as a critic that does not check a kept beginning again.

    Args:
        name: A model as ``Verifier`` takes it.
        evidence: What goes into a critique.
        by: What makes an attempt's score of its steps' scores.
        options: See ``CheckOptions``.
        threads: CPU threads.
        capacity: Sequences evaluated at once.
        exact: Whether a verification must not depend on what else runs.
        verifier: Further arguments of ``Verifier``.

    Raises:
        GenPRMError: It cannot be opened.
    """
    require_usable(evidence, by, options)
    source = find_source(name, None, LoadOptions(threads, None, capacity, exact))
    async with AsyncExitStack() as stack:
        backend = RememberingBackend(await source.load())
        stack.push_async_callback(backend.close)
        require_role("verifier", backend, name)
        settings = source.located.settings or VerifierSettings.from_metadata(backend.metadata)
        opened = Verifier(backend=backend, **{"settings": settings, **verifier})
        yield VerifierCritic(
            await stack.enter_async_context(opened), evidence=evidence, by=by, options=options
        )
