"""The verifier and the refinement agent as tools of the Model Context Protocol, on stdin and stdout.

    await serve(Offer(critic=open_critic))

``tools.py`` knows what the tools take, do and return, ``server.py`` the protocol's package, which is not
imported before it is needed.
"""

from __future__ import annotations

from ..errors import MissingExtraError
from .tools import Offer

__all__ = ["Offer", "serve"]


async def serve(offer: Offer) -> None:
    """Serve the tools until stdin ends; stdout carries the protocol and nothing else.

    Raises:
        MissingExtraError: The ``mcp`` package is not installed.
        BrokenPipeError: Nobody reads stdout any more.
    """
    try:
        from .server import serve_on_stdio
    except ImportError:
        raise MissingExtraError("mcp", "mcp", "the MCP server") from None
    await serve_on_stdio(offer)
