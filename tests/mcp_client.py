"""The SDK's own client of a Model Context Protocol server in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

SERVE = ["-m", "archwright", "mcp"]
LEGACY = "legacy"
"""The handshake that most hosts still speak."""

PATIENCE_S = 240.0


@asynccontextmanager
async def stdio(mode: str = "auto", **environment: str) -> AsyncIterator[Client]:
    """A client of a new server process, in this test's home unless it is told another."""
    everything = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    process = StdioServerParameters(command=sys.executable, args=SERVE, env=everything)
    async with Client(process, mode=mode) as client:
        yield client


def over_stdio(
    talk: Callable[[Client], Awaitable[None]], mode: str = "auto", **environment: str
) -> None:
    """A talk with a new server process; it may not take for ever."""

    async def main() -> None:
        with anyio.fail_after(PATIENCE_S):
            async with stdio(mode, **environment) as client:
                await talk(client)

    anyio.run(main)


async def refusal(client: Client, tool: str, arguments: dict[str, Any]) -> str:
    """The one line with which a call is refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    assert result.structured_content is None
    (content,) = result.content
    assert len(content.text.splitlines()) == 1
    assert "Traceback" not in content.text
    assert len(content.text) < 1000
    return str(content.text)
