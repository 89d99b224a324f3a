"""``genprm mcp``: the verifier and the refinement agent as tools of the Model Context Protocol."""

from __future__ import annotations

import asyncio

from ..mcp import Offer, serve
from .agent_options import AgentOptions
from .codes import FINE
from .terminal import ReaderLeft, note

__all__ = ["serve_tools"]


def serve_tools(options: AgentOptions, policy: str | None) -> int:
    """Serve until stdin ends; returns the exit code.

    Raises:
        GenPRMError: It cannot be served.
        ReaderLeft: Nobody reads the answers.
    """
    offer = Offer(
        critic=options.open_critic,
        policy=None if policy is None else lambda: options.open_policy(policy),
        agent=options.refinement,
        samples=options.samples,
        turns=options.turns,
        budget=options.budget(),
    )
    note(f"serving on stdin and stdout: verify_steps{'' if policy is None else ' and refine_solution'}")
    try:
        asyncio.run(serve(offer))
    except BrokenPipeError:
        raise ReaderLeft from None
    return FINE
