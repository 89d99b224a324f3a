"""The tools behind the protocol's package: what is listed, called and answered."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import cast

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from ..errors import GenPRMError
from .keeping import Kept
from .stdin import StdinLines
from .tools import Offer, tools_of

__all__ = ["serve_on_stdio"]

INSTRUCTIONS = "A process reward model that checks reasoning step by step. Indices count from 0."


async def serve_on_stdio(offer: Offer) -> None:
    """Serve the tools until stdin ends. See ``genprm_sdk.mcp.serve``."""
    async with AsyncExitStack() as stack:
        critic = await stack.enter_async_context(Kept(offer.critic))
        policy = None
        if offer.policy is not None:
            policy = await stack.enter_async_context(Kept(offer.policy))
        tools = {tool.name: tool for tool in tools_of(offer, critic, policy)}

        async def listed(
            context: ServerRequestContext, page: types.PaginatedRequestParams | None
        ) -> types.ListToolsResult:
            return types.ListToolsResult(
                tools=[
                    types.Tool(
                        name=tool.name,
                        title=tool.title,
                        description=tool.description,
                        input_schema=tool.arguments.model_json_schema(),
                        output_schema=tool.result.model_json_schema(),
                        annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
                    )
                    for tool in tools.values()
                ]
            )

        async def called(
            context: ServerRequestContext, asked: types.CallToolRequestParams
        ) -> types.CallToolResult:
            tool = tools.get(asked.name)
            if tool is None:
                return _refused(f"there is no tool {asked.name!r:.80}; there are: {', '.join(tools)}")
            try:
                result = await tool(asked.arguments or {}, context.session.report_progress)
            except GenPRMError as error:
                return _refused(str(error))
            return types.CallToolResult(
                content=[types.TextContent(text=result.model_dump_json())],
                structured_content=result.model_dump(mode="json"),
            )

        server = Server(
            "genprm",
            version=version("genprm-sdk"),
            title="GenPRM verifier",
            instructions=INSTRUCTIONS,
            on_list_tools=listed,
            on_call_tool=called,
        )
        try:
            # Of what is to be read, the transport wants the lines and nothing more.
            async with stdio_server(stdin=cast("anyio.AsyncFile[str]", StdinLines())) as (reading, writing):
                await server.run(reading, writing, server.create_initialization_options())
        except* BrokenPipeError:
            raise BrokenPipeError from None
        except* anyio.BrokenResourceError:
            # Cancelled between two of its streams, the protocol's package fails instead of being cancelled.
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                raise
            raise asyncio.CancelledError from None


def _refused(why: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=why)], is_error=True)
