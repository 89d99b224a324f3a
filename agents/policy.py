"""What a policy is: any async callable from chat messages to text.

A policy that can do more says so by what it takes and has. Of the keywords ``seed``, ``max_tokens`` (None: no
limit), ``stop`` and ``show``, it is given those that its signature names. Where nobody listens ``show`` does
nothing, or is None if that is the policy's own default. An optional method ``continue_from(messages,
prefix)``, with the same keywords, writes on behind a text that the answer begins with.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

from ..arguments import one_of
from ..errors import BackendError, GenPRMError, InputError
from .spending import Spent
from .trajectory import Fault

__all__ = [
    "ContinuingPolicy",
    "CutOffError",
    "Message",
    "Policy",
    "Reply",
    "Request",
    "Speaker",
    "assistant",
    "name_of",
    "user",
]

KEYWORDS = ("seed", "max_tokens", "stop", "show")
CHARACTERS_A_TOKEN = 4
"""Of a policy that does not count its tokens."""

FIRST_PAUSE = 0.1


class CutOffError(BackendError):
    """An answer broke off while it was written. An agent asks for it again, before it gives up."""


class Message(TypedDict):
    """One message of a chat, as the chat APIs have it."""

    role: Literal["system", "user", "assistant"]
    content: str


def user(text: str) -> Message:
    """What is asked of the policy."""
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    """What the policy said."""
    return Message(role="assistant", content=text)


@dataclass(frozen=True)
class Reply:
    """What a policy wrote; a policy that counts nothing may return its text alone.

    Attributes:
        text: Behind the prefix, if there was one.
        finish: ``length`` where it was cut off before it came to an end; ``stop`` at a stop string.
        prompt_tokens: Read, or None if they were not counted.
        generated_tokens: Written, or None if they were not counted.

    Raises:
        InputError: ``finish`` is none of these.
    """

    text: str
    finish: Literal["end", "length", "stop"] = "end"
    prompt_tokens: int | None = None
    generated_tokens: int | None = None

    def __post_init__(self) -> None:
        one_of(("end", "length", "stop"), self.finish, "Reply.finish")


class Policy(Protocol):
    """Any async callable from messages to text; see this module for what else it may take and have."""

    def __call__(self, messages: Sequence[Message], /) -> Awaitable[str | Reply]: ...


@runtime_checkable
class ContinuingPolicy(Protocol):
    """A policy that can go on behind a given beginning of its answer."""

    def __call__(self, messages: Sequence[Message], /) -> Awaitable[str | Reply]: ...

    def continue_from(self, messages: Sequence[Message], prefix: str, /) -> Awaitable[str | Reply]: ...


@dataclass(frozen=True)
class Request:
    """What an agent asks a policy.

    Attributes:
        messages: The chat so far.
        prefix: What the answer begins with; empty for a new one.
        seed: Decides what is drawn, where the policy draws by seeds.
        max_tokens: At most so many are written; None leaves it to the policy.
        stop: Strings that end the answer, where the policy knows such.
        show: Called with text as it is written, where the policy streams.
    """

    messages: tuple[Message, ...]
    prefix: str = ""
    seed: int = 0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    show: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Said:
    """A policy's answer, in order or not.

    Attributes:
        text: All that was written.
        spent: What it cost.
        finish: As in ``Reply``.
        fault: What is wrong with it, or None.
    """

    text: str
    spent: Spent
    finish: Literal["end", "length", "stop"] = "end"
    fault: Fault | None = None


def name_of(policy: object) -> str:
    """What a policy or critic is called: its own ``name``, else that of its function or class."""
    for name in (getattr(policy, "name", None), getattr(policy, "__name__", None)):
        if isinstance(name, str) and name:
            return name
    return type(policy).__name__


@dataclass
class Speaker:
    """Asks a policy, whatever it takes, and survives what it does.

    Args:
        policy: Who is asked.
        tries: How often it is asked again after an exception, itself included. Of this library's errors only
            a ``CutOffError`` is: its adapters have tried again themselves what can be tried unseen.
        patience: Seconds that one answer may take.
        longest: Characters that an answer may have; a longer one is cut and not used.
        retried: Called with the exception before it is asked again.
    """

    policy: Policy
    tries: int = 3
    patience: float = 600.0
    longest: int = 100_000
    retried: Callable[[BaseException], None] | None = None
    name: str = field(init=False)
    continues: bool = field(init=False)

    def __post_init__(self) -> None:
        if not callable(self.policy):
            raise InputError(
                "a policy is an async callable from chat messages to text, "
                f"not a {type(self.policy).__name__}"
            )
        self.name = name_of(self.policy)
        self.continues = isinstance(self.policy, ContinuingPolicy)

    async def say(self, request: Request) -> Said:
        """Have a request answered.

        Raises:
            InputError: The policy is not async, or returned what is no text.
            GenPRMError: The policy or what runs it cannot be used, or its retries are spent.
        """
        started = time.monotonic()
        answered = await self._tried(request)
        seconds = time.monotonic() - started
        if isinstance(answered, Fault):
            return Said("", Spent(calls=1, policy_seconds=seconds), fault=answered)
        written = answered.text if isinstance(answered, Reply) else answered
        if written is None:
            fault = Fault(kind="empty", message=f"the policy returned {type(answered).__name__}, no text")
            return Said("", Spent(calls=1, policy_seconds=seconds), fault=fault)
        if not isinstance(written, str):
            raise _no_text(written)
        reply = answered if isinstance(answered, Reply) else Reply(written)
        spent = _spent(request, reply, seconds)
        text = _without_half_characters(reply.text)
        if len(text) > self.longest:
            fault = Fault(
                kind="too_long",
                message=f"the policy wrote {len(text):,} characters; {self.longest:,} are taken",
            )
            return Said(text[: self.longest], spent, reply.finish, fault)
        return Said(text, spent, reply.finish)

    async def _tried(self, request: Request) -> object:
        pause, tried = FIRST_PAUSE, 0
        while True:
            deadline = asyncio.timeout(self.patience)
            try:
                async with deadline:
                    return await self._asked(request)
            except Exception as error:
                if isinstance(error, GenPRMError) and not isinstance(error, CutOffError):
                    raise
                if isinstance(error, TimeoutError) and deadline.expired():
                    return Fault(kind="hung", message=f"no answer within {self.patience:g} seconds")
                tried += 1
                if tried >= self.tries and isinstance(error, CutOffError):
                    raise
                if tried >= self.tries:
                    return Fault(kind="raised", message=f"{type(error).__name__}: {error}"[:500])
                if self.retried is not None:
                    self.retried(error)
            await asyncio.sleep(pause)
            pause *= 2

    def _asked(self, request: Request) -> Awaitable[object]:
        policy: Any = self.policy
        method = policy.continue_from if request.prefix else policy
        behind = (request.prefix,) if request.prefix else ()
        answer: object = method(request.messages, *behind, **_given(method, request))
        if inspect.isawaitable(answer):
            return answer
        if isinstance(answer, AsyncIterable):
            raise _no_text(answer)
        raise InputError(f"the policy {self.name} must be async: it returned {type(answer).__name__}")


def _given(method: Callable[..., object], request: Request) -> dict[str, Any]:
    """Of a request what a policy names, and all of it where it takes any keyword."""
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return {}
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    defaults = {name: each.default for name, each in parameters.items() if each.kind in kinds}
    anything = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    given = {name: getattr(request, name) for name in KEYWORDS if anything or name in defaults}
    if "show" in given and request.show is None and defaults.get("show", _unheard) is not None:
        given["show"] = _unheard
    return given


def _unheard(text: str) -> None:
    """Shows a text to nobody."""


def _no_text(answer: object) -> InputError:
    mend = "return its text, e.g. response.choices[0].message.content"
    if isinstance(answer, AsyncIterable):
        mend = "call `show` for each piece and return the whole"
    return InputError(f"the policy returned {type(answer).__name__}: {mend}")


def _without_half_characters(text: str) -> str:
    """JSON can spell half of a surrogate pair, which no file can hold."""
    return text.encode(errors="replace").decode()


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _spent(request: Request, reply: Reply, seconds: float) -> Spent:
    counted = _count(reply.generated_tokens)
    characters = sum(len(message["content"]) for message in request.messages) + len(request.prefix)
    read = _count(reply.prompt_tokens)
    return Spent(
        calls=1,
        prompt_tokens=read if read is not None else -(-characters // CHARACTERS_A_TOKEN),
        policy_tokens=counted if counted is not None else -(-len(reply.text) // CHARACTERS_A_TOKEN),
        estimated=counted is None or read is None,
        policy_seconds=seconds,
    )
