"""The tools for other assistants: a Model Context Protocol server on standard input and output.

Every tool is served from its declaration. The desk is not trusted: a brief that arrives
here may read data only in the folders that the user's settings allow. A search that a
client starts is a process of its own and outlives both the client and this server.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

from archwright import __version__
from archwright.desk import open_desk
from archwright.errors import ArchwrightError, printable, shown
from archwright.mcp_prompts import get_prompt, list_prompts
from archwright.mcp_resources import list_resources, list_templates, read_resource
from archwright.settings import load_settings
from archwright.tools import all_tools
from archwright.tools.desk import Desk
from archwright.tools.tool import Tool

INSTRUCTIONS = """\
Archwright designs a neural network and the accelerator it runs on, together. Check a brief \
with check_brief, start it with start_search (its run id comes at once, the search goes on by \
itself), poll search_status, then read front, explain_design and compare_designs. Numbers are \
measured by instruments: quote them with their unit, interval and fidelity, and add none."""

CALLS_AT_ONCE = 8
TICK_S = 1.0
"""How often a client that asked for progress hears that its call still goes on."""

AnyTool = Tool[Any, Any]
Context = ServerRequestContext[Any, Any]
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


def serve() -> None:
    """Serve until standard input closes; calls in flight are finished first.

    Raises :class:`ArchwrightError` when the settings or the home cannot be used.
    """
    wire = _take_standard_output()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    # A thread waits in a read of standard input that no exception can end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with open_desk(load_settings(), trusted=False) as desk:
        anyio.run(_serve, build_server(desk), wire)


def build_server(desk: Desk) -> Server[Any]:
    """The server over ``desk``; it runs on any transport."""
    tools = {tool.name: tool for tool in all_tools()}
    limiter = anyio.CapacityLimiter(CALLS_AT_ONCE)  # the reader of stdin has threads of its own

    async def answer(question: Callable[[], Answer]) -> Answer:
        """The answer to a question about runs; a mistake is the protocol's error."""
        try:
            return await anyio.to_thread.run_sync(question, limiter=limiter)
        except ArchwrightError as error:
            raise MCPError(types.INVALID_PARAMS, printable(str(error))) from None
        except Exception as error:  # noqa: BLE001 - a client is never shown a traceback
            raise MCPError(types.INTERNAL_ERROR, _unexpected("the request", error)) from None

    async def on_list_tools(
        _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[declared(tool) for tool in tools.values()])

    async def on_call_tool(
        context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            known = ", ".join(tools)
            return _mistake(f"tool = {shown(params.name)}: no such tool; allowed {known}")
        call = partial(_call, tool, params.arguments or {}, desk)
        return await _with_progress(context, tool.name, call, limiter)

    async def on_list_resources(
        _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=await answer(partial(list_resources, desk)))

    async def on_list_resource_templates(
        _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=list_templates())

    async def on_read_resource(
        _: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        found = await answer(partial(read_resource, params.uri, desk))
        return types.ReadResourceResult(contents=[found])

    async def on_list_prompts(
        _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=list_prompts())

    async def on_get_prompt(
        _: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        return await answer(partial(get_prompt, params.name, params.arguments or {}))

    return Server(
        "archwright",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=on_list_tools,
        on_call_tool=on_call_tool,
        on_list_resources=on_list_resources,
        on_list_resource_templates=on_list_resource_templates,
        on_read_resource=on_read_resource,
        on_list_prompts=on_list_prompts,
        on_get_prompt=on_get_prompt,
    )


def declared(tool: AnyTool) -> types.Tool:
    """A tool as the protocol lists it, from its declaration."""
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.arguments.model_json_schema(),
        output_schema=tool.result.model_json_schema(),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.reads_only,
            idempotent_hint=tool.repeatable,
            destructive_hint=False,
            open_world_hint=False,
        ),
    )


def _call(tool: AnyTool, arguments: dict[str, Any], desk: Desk) -> types.CallToolResult:
    """The tool's result; what goes wrong is a result too, for its caller to act on."""
    try:
        result = tool.call(arguments, desk)
        return types.CallToolResult(
            content=[types.TextContent(text=result.model_dump_json())],
            structured_content=result.model_dump(mode="json"),
        )
    except ArchwrightError as error:
        return _mistake(str(error))
    except Exception as error:  # noqa: BLE001 - a client is never shown a traceback
        return _mistake(_unexpected(tool.name, error))


def _mistake(message: str) -> types.CallToolResult:
    text = types.TextContent(text=printable(message))
    return types.CallToolResult(content=[text], is_error=True)


def _unexpected(what: str, error: Exception) -> str:
    """What the client is told of an error that is nobody's mistake; the rest is logged."""
    _log.error("%s failed", what, exc_info=error)
    return f"{what}: failed inside archwright ({type(error).__name__}); its log says more"


async def _with_progress(
    context: Context,
    name: str,
    call: Callable[[], types.CallToolResult],
    limiter: anyio.CapacityLimiter,
) -> types.CallToolResult:
    """Make a call in a thread; meanwhile tell a client that asked how many seconds it takes."""
    began = anyio.current_time()

    async def tick() -> None:
        while True:
            seconds = anyio.current_time() - began
            await context.session.report_progress(seconds, None, f"{name}: {seconds:.0f} s")
            await anyio.sleep(TICK_S)

    async with anyio.create_task_group() as ticking:
        ticking.start_soon(tick)
        result = await anyio.to_thread.run_sync(call, limiter=limiter)
        ticking.cancel_scope.cancel()
    seconds = anyio.current_time() - began
    await context.session.report_progress(seconds, seconds, f"{name}: done")
    return result


def _take_standard_output() -> TextIOWrapper:
    """Standard output for the protocol alone: whatever else is printed goes to standard error.

    For good, not only while serving: what a library has buffered is written at the exit.
    """
    sys.stdout.flush()
    wire = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return TextIOWrapper(os.fdopen(wire, "wb"), encoding="utf-8")


async def _serve(server: Server[Any], wire: TextIOWrapper) -> None:
    async with stdio_server(stdout=anyio.wrap_file(wire)) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
