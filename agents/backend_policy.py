"""Any of the backends as a policy: chat messages become a sequence, and a given beginning is continued."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from ..arguments import whole_number
from ..backends.base import Backend, OpenSequence, Sampling
from ..errors import InputError
from ..prompt import ChatFrame, Segment, content, control
from ..slots import slots_of
from .policy import Message, Reply

__all__ = ["POLICY_SAMPLING", "BackendPolicy"]

POLICY_SAMPLING = Sampling(temperature=0.7, top_p=1.0, top_k=0)
DEFAULT_TOKENS = 2048


class BackendPolicy:
    """A loaded model that solves problems.

    Args:
        backend: The model; not closed here.
        sampling: How it draws; its seed counts only where none is asked for.
        max_tokens: Of one answer, at most, where nothing less is asked for.
        system: A system message in front of chats that have none.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        sampling: Sampling = POLICY_SAMPLING,
        max_tokens: int = DEFAULT_TOKENS,
        system: str | None = None,
    ) -> None:
        whole_number(max_tokens, "max_tokens")
        self.name = backend.name
        self._backend = backend
        self._sampling = sampling
        self._max_tokens = max_tokens
        self._system = system

    async def __call__(
        self,
        messages: Sequence[Message],
        /,
        *,
        seed: int | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        show: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer a chat.

        Raises:
            ContextLengthError: It does not fit into the model's context.
            BackendError: The model failed.
        """
        return await self.continue_from(messages, "", seed=seed, max_tokens=max_tokens, stop=stop, show=show)

    async def continue_from(
        self,
        messages: Sequence[Message],
        prefix: str,
        /,
        *,
        seed: int | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        show: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer a chat with a text that begins with ``prefix``; returns what is behind it."""
        chat = [*messages]
        if self._system is not None and chat[0]["role"] != "system":
            chat.insert(0, Message(role="system", content=self._system))
        segments = chat_segments(self._backend.frame, chat)
        if prefix:
            segments.append(content(prefix))
        drawn = self._sampling
        if seed is not None:
            drawn = Sampling(drawn.temperature, drawn.top_p, drawn.top_k, drawn.min_p, seed)
        limit = min(max_tokens or self._max_tokens, self._max_tokens)
        async with self._room(), self._opened(segments) as sequence:
            read = sequence.tokens
            written = await sequence.generate(stop, limit, drawn, show)
        text = written.text.removesuffix(written.stop) if written.stop else written.text
        return Reply(text, written.finish, prompt_tokens=read, generated_tokens=written.tokens)

    @asynccontextmanager
    async def _room(self) -> AsyncIterator[None]:
        async with slots_of(self._backend, self._backend.capacity).reserve(1, 1):
            yield

    @asynccontextmanager
    async def _opened(self, segments: Sequence[Segment]) -> AsyncIterator[OpenSequence]:
        sequence = await self._backend.open(segments)
        try:
            yield sequence
        finally:
            await sequence.close()


def chat_segments(frame: ChatFrame, messages: Sequence[Message]) -> list[Segment]:
    """A chat that ends with a user's message, as the model's template has it.

    Raises:
        InputError: The roles do not take turns, or the last message is not a user's.
    """
    system = messages[0]["content"] if messages and messages[0]["role"] == "system" else None
    turns = list(messages if system is None else messages[1:])
    roles = [message["role"] for message in turns]
    if roles != [("user", "assistant")[place % 2] for place in range(len(roles))] or len(roles) % 2 == 0:
        raise InputError(f"the roles of a chat must take turns and end with the user, not {', '.join(roles)}")
    if system is None:
        segments = [control(user_opening(frame))]
    else:
        segments = [control(frame.opening), content(system), control(frame.system_to_user)]
    for place, message in enumerate(turns):
        if place:
            segments.append(control(frame.assistant_to_user if place % 2 == 0 else frame.user_to_assistant))
        segments.append(content(message["content"]))
    return [*segments, control(frame.generation)]


def user_opening(frame: ChatFrame) -> str:
    """What stands before a first user message without a system message.

    A frame is read off chats that have one. Where its opening names the system's role, what stands before the
    role begins every message and is found before the user's too; otherwise the system message is left blank.
    """
    begins, named, _ = frame.opening.rpartition("system")
    at = frame.assistant_to_user.rfind(begins) if named and begins else -1
    return frame.assistant_to_user[at:] if at >= 0 else frame.opening + frame.system_to_user
