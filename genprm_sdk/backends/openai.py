"""Servers with the OpenAI completions API (llama-server, vLLM, SGLang) behind the contract of all backends.

Sequences live here, as tokens; servers keep what they evaluated in their prefix caches. Where a server takes
no tokens, sequences are text, and content that could be read as a special token is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import SecretStr

from ..arguments import whole_number
from ..errors import ClosedError, ContextLengthError, InputError
from ..models import MetadataValue, bundled_models, read_gguf_metadata
from ..prompt import Segment
from ..remote.draft import Draft
from ..remote.fleet import Fleet, Home
from ..remote.keys import header_key
from ..remote.labels import label_probabilities, text_probability
from ..remote.probing import EXTRAS, Capabilities
from ..remote.script import Script, TextScript, TokenScript
from ..remote.server import Server, address_of
from ..remote.serving import Serving, find_serving
from ..remote.wire import Shown
from .base import Counters, Generation, Sampling, Work
from .sequences import SequenceBase, check_candidates, check_generation

__all__ = ["OpenAIBackend"]

T = TypeVar("T")

KEY_VARIABLE = "GENPRM_API_KEY"
DEFAULT_CONTEXT = 8192
DEFAULT_CAPACITY = 64
SEEDS = 2**31
"""Seeds are told apart below this: llama-server takes 2**32 - 1 for none, others refuse more than 63 bits."""


class OpenAIBackend:
    """A model behind one or several servers. Connect with ``await OpenAIBackend.connect(url)``.

    Attributes:
        capabilities: What the servers can do.
    """

    def __init__(self, fleet: Fleet, serving: Serving, context: int, capacity: int) -> None:
        self.name = serving.model
        self.frame = serving.frame
        self.context = context
        self.capacity = self.prompts_at_once = capacity
        self.metadata: Mapping[str, MetadataValue] = _settings_of(serving.model)
        self.capabilities: Capabilities = serving.capabilities
        self._fleet = fleet
        self._tokens = serving.tokens
        self._extras: Mapping[str, Any] = EXTRAS if serving.capabilities.extras else {}
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._prompt = self._generated = 0
        self._work = Work()

    def __repr__(self) -> str:
        addresses = ", ".join(server.address for server in self._fleet.servers)
        return f"OpenAIBackend({self.name!r} at {addresses})"

    @classmethod
    async def connect(
        cls,
        urls: str | Sequence[str],
        *,
        model: str | None = None,
        api_key: str | SecretStr | None = None,
        tokenizer: str | os.PathLike[str] | None = None,
        template: str | None = None,
        context: int | None = None,
        capacity: int = DEFAULT_CAPACITY,
        attempts: int = 8,
        patience: float = 300.0,
    ) -> Self:
        """Find out what servers serve and what they can do.

        Args:
            urls: The address of a server, or those of several that serve the same model: a check stays with
                one for its prefix cache, new ones go where the fewest requests run.
            model: The model's name there; needed only where they serve several.
            api_key: Sent as a bearer token; by default what the environment variable GENPRM_API_KEY holds.
            tokenizer: A folder with the model's ``tokenizer.json``, or its Hugging Face repository. By
                default llama-server's own tokenizer, or what vLLM and SGLang say they have the model from.
            template: The chat template (Jinja), in place of the server's or the tokenizer's.
            context: Tokens that a sequence can hold; by default what the server says, else 8192.
            capacity: Requests at once, for each server.
            attempts: How often a request is tried before it has failed, on whichever server.
            patience: Seconds without a byte, or without text in a streamed answer, after which a request has
                failed.

        Raises:
            InputError: An address or a name cannot be used, or the server leaves something open that must
                be given here.
            BackendError: No server answers, or what answers is no completions API.
        """
        listed = [urls] if isinstance(urls, str) else list(urls)
        addresses = list(dict.fromkeys(address_of(url) for each in listed for url in each.split(",")))
        if not addresses:
            raise InputError("give the address of a server")
        for label, value in (("context", context), ("capacity", capacity), ("attempts", attempts)):
            if value is not None:
                whole_number(value, label)
        if not patience > 0:
            raise InputError(f"patience must be above 0 seconds, not {patience}")
        key = _secret(api_key if api_key is not None else os.environ.get(KEY_VARIABLE))
        servers = [await asyncio.to_thread(Server, address, key, patience, capacity) for address in addresses]
        fleet = Fleet(servers, attempts)
        try:
            serving = await find_serving(
                fleet, model, None if tokenizer is None else Path(tokenizer), template
            )
        except BaseException:
            await fleet.close()
            raise
        served = serving.context or DEFAULT_CONTEXT
        if context is not None and serving.context is not None and context > served:
            await fleet.close()
            raise InputError(f"context is {context} tokens, but the server holds {served} at most")
        return cls(fleet, serving, context or served, capacity * len(servers))

    async def open(self, segments: Sequence[Segment]) -> RemoteSequence:
        """A new sequence that holds ``segments``; see ``Backend.open``."""
        self._check_open()
        script: Script = TextScript() if self._tokens is None else TokenScript(self._tokens)
        script = await self._extended(script, segments)
        return RemoteSequence(self, script, Lineage(self._fleet), None)

    def counters(self) -> Counters:
        """Totals since the connection was made; what was cached, as far as the servers tell."""
        return Counters(self._prompt, self._generated, self._work.cached, self._work.evaluated)

    async def close(self) -> None:
        """End what runs with a ``ClosedError`` and close the connections."""
        self._closed = True
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await self._fleet.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the backend is closed")

    async def _extended(self, script: Script, segments: Sequence[Segment]) -> Script:
        extended = await script.with_segments(segments)
        if extended.length > self.context:
            raise ContextLengthError(
                f"the text needs {extended.length} tokens and the context holds {self.context}: "
                "shorten it, or start the server with a larger context"
            )
        self._prompt += extended.length - script.length
        return extended

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done that closing the backend ends."""
        task = asyncio.create_task(work)
        self._running.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self._closed and task.cancelled():
                raise ClosedError("the backend is closed") from None
            raise
        finally:
            self._running.discard(task)
            while not task.done():  # however often this is cancelled, nothing is left running
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([task])

    def _body(self, script: Script, **options: Any) -> dict[str, Any]:
        return {"model": self.name, "prompt": script.prompt, **self._extras, **options}


class Lineage:
    """A sequence and its forks, which are at home on one server, together with those that began alike.

    Args:
        fleet: The servers.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._home: Home | None = None

    def home(self, script: Script) -> Home:
        """Their home, found by what the first request of them all holds."""
        if self._home is None:
            self._home = self._fleet.home(script.prompt_key)
        return self._home


class Beginning:
    """Whether a server has begun to evaluate a prefix that several sequences share.

    Their first request goes alone, until something comes back: sent together, all would evaluate it.
    """

    def __init__(self) -> None:
        self._led = False
        self._over = asyncio.Event()

    @contextlib.asynccontextmanager
    async def awaited(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for the first request, or be it; yields what it calls when something comes back."""
        while self._led and not self._over.is_set():
            await self._over.wait()
        leads, self._led = not self._led, True
        try:
            yield self._over.set
        finally:
            if leads:
                self._over.set()


class RemoteSequence(SequenceBase[Script]):
    """A sequence for a server; see ``OpenSequence``."""

    def __init__(
        self, backend: OpenAIBackend, script: Script, lineage: Lineage, shared: Beginning | None
    ) -> None:
        super().__init__(script)
        self._backend = backend
        self._lineage = lineage
        self._shared = shared
        self._own = Beginning()

    def _check_backend(self) -> None:
        self._backend._check_open()

    def _length(self, state: Script) -> int:
        return state.length

    async def fork(self) -> RemoteSequence:
        """An independent sequence with the same tokens, on the same server."""
        return RemoteSequence(self._backend, self._idle, self._lineage, self._own)

    async def append(self, segments: Sequence[Segment]) -> int:
        """Append text that was not generated; returns the number of tokens it became."""
        before = self._idle
        with self._asked():
            extended = await self._backend._run(self._backend._extended(before, segments))
        self._take(extended)
        return extended.length - before.length

    async def generate(
        self,
        stop: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> Generation:
        """Let the model write until a stop string, its own end, or ``max_tokens``."""
        check_generation(stop, max_tokens)
        script, backend = self._beginning, self._backend
        most = min(max_tokens, backend.context - script.length)
        if most <= 0:
            return Generation("", 0, "length")
        ends_turn = backend._tokens.ends_turn if backend._tokens else lambda token: False
        draft = Draft(stop, most, ends_turn, show)
        with self._asked():
            written = await backend._run(self._written(script, draft, stop, sampling))
        assert draft.result is not None
        self._take(written)
        return draft.result

    async def _written(self, script: Script, draft: Draft, stop: Sequence[str], sampling: Sampling) -> Script:
        backend = self._backend
        options = _sampling_options(sampling, own=backend.capabilities.extras)
        if backend.capabilities.stops and stop:
            options["stop"] = list(stop)

        async def answer(server: Server) -> None:
            draft.begin_answer()
            behind = await script.with_draft(draft) if draft.text else script
            body = backend._body(behind, max_tokens=draft.left, **options)
            drawn, cached = draft.drawn, 0
            try:
                async with contextlib.aclosing(server.completions(body)) as chunks:
                    async for chunk in chunks:
                        began()
                        cached = max(cached, chunk.cached or 0)
                        if draft.add(chunk):
                            return
            finally:
                self._count(behind.length, cached, draft.drawn - drawn)

        try:
            async with (self._shared or self._own).awaited() as began:
                await backend._fleet.ask(self._lineage.home(script), answer)
        finally:
            backend._generated += draft.drawn
        return await script.with_draft(draft)

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        """Probability of each text as the next one; 0 for what the server does not show."""
        check_candidates(candidates)
        script = self._beginning
        with self._asked():
            return await self._backend._run(self._read(script, candidates))

    async def _read(self, script: Script, candidates: Sequence[str]) -> list[float]:
        tokens = self._backend._tokens
        if tokens is None or not isinstance(script, TokenScript):
            return [await text_probability(text, self._next_of_text(script)) for text in candidates]
        labels = [await tokens.of_text(text) for text in candidates]
        if script.length + max(map(len, labels)) - 1 > self._backend.context:
            raise ContextLengthError(
                f"the context of {self._backend.context} tokens is full: no verdict can be read"
            )

        async def next_of(prefix: tuple[int, ...], wanted: frozenset[int]) -> dict[int, float]:
            behind = TokenScript(tokens, (*script.tokens, *prefix))
            spelled = {await tokens.spelling(token): token for token in wanted}
            found: dict[int, float] = {}
            for top in self._tops(wanted):
                for shown in await self._shown(behind, top):
                    token = spelled.get(shown.text or "") if shown.token is None else shown.token
                    if token in wanted:
                        found[token] = shown.probability
                if len(found) == len(wanted):
                    break
            return found

        return await label_probabilities(labels, next_of)

    def _next_of_text(self, script: Script) -> Callable[[str], Coroutine[Any, Any, Sequence[Shown]]]:
        async def next_of(written: str) -> Sequence[Shown]:
            behind = TextScript(f"{script.prompt}{written}")
            return await self._shown(behind, {"logprobs": self._backend.capabilities.top})

        return next_of

    def _tops(self, wanted: frozenset[int]) -> Iterator[dict[str, Any]]:
        """What to ask for, until all that is wanted is shown."""
        capabilities = self._backend.capabilities
        if capabilities.by_number:
            yield {"logprobs": 1, "logprob_token_ids": sorted(wanted)}
            return
        yield {"logprobs": capabilities.usual_top}
        if capabilities.top > capabilities.usual_top:
            yield {"logprobs": capabilities.top}

    async def _shown(self, behind: Script, top: Mapping[str, Any]) -> Sequence[Shown]:
        backend = self._backend
        options = _sampling_options(Sampling(1.0, 1.0, 0), own=backend.capabilities.extras)
        body = backend._body(behind, max_tokens=1, **options, **top)
        chunk = await backend._fleet.ask(self._lineage.home(behind), lambda server: server.completion(body))
        self._count(behind.length, chunk.cached or 0, 1)
        return chunk.shown

    def _count(self, prompt: int, cached: int, drawn: int) -> None:
        """Count an answer's cost; one without a part has cost nothing that is known of."""
        if drawn:
            evaluated = max(0, prompt - cached) + drawn - 1
            cost = Work(evaluated, min(cached, prompt), evaluations=drawn, companions=drawn)
            self._work.add(cost)
            self._backend._work.add(cost)

    async def close(self) -> None:
        """Let the sequence go; closing twice is allowed."""
        self._state = None

    def _take(self, script: Script) -> None:
        """Hold something else now, unless the sequence was closed meanwhile."""
        if self._state is not None:
            self._state = script
            self._own = Beginning()


def _sampling_options(sampling: Sampling, *, own: bool) -> dict[str, Any]:
    """A request's parameters; ``own`` says whether those that are not OpenAI's are taken."""
    options: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed % SEEDS,
    }
    return {**options, "top_k": sampling.top_k or -1, "min_p": sampling.min_p} if own else options


def _secret(key: str | SecretStr | None) -> SecretStr | None:
    text = key.get_secret_value() if isinstance(key, SecretStr) else key
    return SecretStr(header_key(text)) if text and text.strip() else None


def _settings_of(model: str) -> Mapping[str, MetadataValue]:
    """How a bundled model wants to be used, where a server serves it under its name or its file's."""
    for bundled in bundled_models():
        if Path(model).name in (bundled.name, bundled.file):
            metadata = read_gguf_metadata(bundled.path)
            return {key: value for key, value in metadata.items() if key.startswith("genprm.")}
    return {}
