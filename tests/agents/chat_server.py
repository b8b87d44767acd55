"""A real local HTTP server that speaks chat completions, for tests.

Test files get it through fixtures of the conftest; they do not import this file:

- ``start_chat_server(script, kind="full")``: a server; a script says what the model answers,
  a kind what the endpoint can do (see KINDS). A probe of its abilities is answered by the
  kind and never reaches the script: it is in ``server.probes``, not in ``server.requests``.
- ``reply``: the class Reply, for anything but a plain good answer.
- ``with_faults(script, share, seed)``: a script that spoils a share of the answers; it
  lives in chat_faults.py.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "scripted"
PROBE = "Role: probe."
"""How the requests that find out an endpoint's abilities begin."""


@dataclass(frozen=True)
class Reply:
    """What the server answers to one request; the defaults are those of a good answer.

    ``content`` is the assistant's text, or an object that is written as JSON; with a
    ``status`` of 400 and more it is the error's message. ``raw`` replaces the whole body.
    ``drop`` closes the connection without a word. ``trickle_s`` is a pause before each
    byte of the body. ``usage`` is (prompt, completion) tokens; None leaves the field out,
    the default estimates. ``calls`` are tool calls, (name, arguments) each; to a request
    that asks for a stream the answer comes in chunks, ``chunk_s`` apart; with ``cut`` its
    stream ends without a finish reason and [DONE]. ``code`` is an error's code.
    """

    content: object = ""
    status: int = 200
    delay_s: float = 0.0
    trickle_s: float = 0.0
    raw: bytes | None = None
    drop: bool = False
    refusal: str | None = None
    finish_reason: str = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    usage: tuple[int, int] | str | None = "estimated"
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    chunk_s: float = 0.0
    cut: bool = False
    code: str | None = None

    def chunks(self, request: dict[str, Any]) -> list[bytes]:
        """The body as server-sent events: text word by word, each call in two pieces, usage."""
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in re.findall(r"\S*\s*", text) if word]
        for index, (name, arguments) in enumerate(self.calls):
            whole = json.dumps(arguments)
            first = {"name": name, "arguments": whole[:5]}
            call = {"index": index, "id": f"call-{index}", "type": "function", "function": first}
            deltas += [
                {"tool_calls": [call]},
                {"tool_calls": [{"index": index, "function": {"arguments": whole[5:]}}]},
            ]
        if self.cut:
            del deltas[-1]
        choices = [[{"index": 0, "delta": d, "finish_reason": None}] for d in deltas]
        if not self.cut:
            choices.append([{"index": 0, "delta": {}, "finish_reason": self._ended()}])
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0}
        rows = [{**common, "model": MODEL, "choices": c} for c in choices]
        if isinstance(self.usage, tuple) and not self.cut:
            usage = {"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1]}
            rows.append({**common, "model": MODEL, "choices": [], "usage": usage})
        events = [json.dumps(row) for row in rows]
        end = [] if self.cut else ["[DONE]"]
        return [f"data: {event}\n\n".encode() for event in (*events, *end)]

    def _ended(self) -> str:
        return "tool_calls" if self.calls else self.finish_reason

    def body(self, request: dict[str, Any]) -> bytes:
        """The response's body."""
        if self.raw is not None:
            return self.raw
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        if self.status != 200:
            error = {"message": text, "type": "scripted", "code": self.code}
            return json.dumps({"error": error}).encode()
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": self.refusal}
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": f"call-{index}",
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(arguments)},
                }
                for index, (name, arguments) in enumerate(self.calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._ended()}
        completion: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": request.get("model", MODEL),
            "choices": [choice],
        }
        if self.usage is not None:
            prompt, answer = len(json.dumps(request["messages"])) // 4, len(text) // 4
            if isinstance(self.usage, tuple):
                prompt, answer = self.usage
            completion["usage"] = {
                "prompt_tokens": prompt,
                "completion_tokens": answer,
                "total_tokens": prompt + answer,
            }
        return json.dumps(completion).encode()


@dataclass(frozen=True)
class Request:
    """One request as it came in: the path, the body as JSON, and the headers in lower case."""

    path: str
    json: dict[str, Any]
    headers: dict[str, str]


Script = Callable[[dict[str, Any], int], object]
"""(request body, number of the call from 0) to a Reply, or to the content of a good one."""


@dataclass(frozen=True)
class Kind:
    """What an endpoint can do.

    ``json_schema`` and ``json_object`` are "enforced", "ignored" or "refused" (HTTP 400);
    a schema with bounds may be refused where one without is enforced ("loose"). ``tools``
    are "forced" (any tool_choice), "auto" (a forced choice is ignored), "ignored" or
    "refused". ``refused`` are further fields that it answers with 400. An enforced form
    binds probes only: what a script answers is the script's. With ``scripted`` the script
    answers probes too.
    """

    json_schema: str = "enforced"
    json_object: str = "enforced"
    tools: str = "forced"
    parallel: bool = True
    usage: bool = True
    streams: bool = True
    refused: tuple[str, ...] = ()
    scripted: bool = False

    def objection(self, request: dict[str, Any]) -> str:
        """The field of a request that it does not take; "" where it takes them all."""
        form = request.get("response_format", {})
        if form:
            how = {"json_schema": self.json_schema, "json_object": self.json_object}[form["type"]]
            if how == "refused" or (how == "loose" and re.search(r'"m[ai][nx]', json.dumps(form))):
                return f"response_format {form['type']}"
        refused = (*self.refused, *(("tools", "tool_choice") if self.tools == "refused" else ()))
        return next((name for name in refused if name in request), "")

    def probed(self, request: dict[str, Any]) -> Reply:
        """How it answers a probe's request."""
        form = request.get("response_format", {})
        if form.get("type") == "json_schema" and self.json_schema in ("enforced", "loose"):
            return Reply(_instance(form["json_schema"]["schema"]))
        if form.get("type") == "json_object" and self.json_object == "enforced":
            return Reply({"answer": "Paris"})
        forced = isinstance(request.get("tool_choice"), dict)
        heeded = ("forced",) if forced else ("forced", "auto")
        if request.get("tools") and self.tools in heeded:
            things = ("stone", "feather") if self.parallel and not forced else ("stone",)
            return Reply(calls=tuple(("weigh", {"thing": thing}) for thing in things))
        return Reply("Paris")


KINDS = {
    "full": Kind(),
    "plain": Kind(
        json_schema="refused",
        json_object="refused",
        tools="refused",
        parallel=False,
        usage=False,
        streams=False,
        refused=("seed", "temperature", "stream", "stream_options"),
    ),
    "plain, takes all": Kind("ignored", "ignored", "ignored", parallel=False, streams=False),
    "schema-less": Kind(json_schema="refused"),
    "loose": Kind(json_schema="loose"),
    "tools on their own will": Kind(tools="auto", parallel=False),
    "no usage": Kind(usage=False),
    "scripted": Kind(scripted=True),
    "reasoning": Kind(refused=("max_tokens", "temperature")),
}
"""Whole endpoints by name. "plain": nothing but chat, every option is answered with 400."""


def _instance(schema: dict[str, Any]) -> Any:
    """The least value that a simple schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    made: dict[str, Callable[[], Any]] = {
        "object": lambda: {name: _instance(s) for name, s in schema["properties"].items()},
        "array": list,
        "string": str,
        "integer": lambda: schema.get("minimum", 0),
    }
    return made[schema["type"]]()


class ChatServer:
    """Serves ``script`` on a free port of this machine, from entering to leaving.

    ``requests`` holds what came in, without probes, which are in ``probes``; ``connections``
    counts TCP connections. ``script`` and ``kind`` may be replaced at any time. An error in
    a script is raised on leaving.
    """

    def __init__(self, script: Script, kind: str = "full") -> None:
        self.script = script
        self.kind = KINDS[kind]
        self.requests: list[Request] = []
        self.probes: list[Request] = []
        self.connections = 0
        self._asked = 0
        self._errors: list[Exception] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        """The address for a model profile."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def settings_toml(self, name: str = "scripted", **fields: object) -> str:
        """The block of a settings file that makes this server the model profile ``name``."""
        fields = {"base_url": self.base_url, "model": MODEL, **fields}
        lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
        return "\n".join([f"[models.{name}]", *lines, ""])

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        if self._errors:
            raise self._errors[0]

    def answer(self, request: Request) -> Reply:
        """Record the request and let the kind, else the script answer it."""
        kind, probe = self.kind, request.json["messages"][0]["content"].startswith(PROBE)
        with self._lock:
            (self.probes if probe else self.requests).append(request)
        if field_ := kind.objection(request.json):
            hint = " Use 'max_completion_tokens' instead." if field_ == "max_tokens" else ""
            return Reply(f"{field_} is not supported.{hint}", status=400)
        by_kind = probe and not kind.scripted
        said = kind.probed(request.json) if by_kind else self._scripted(request.json)
        reply = said if isinstance(said, Reply) else Reply(said)
        return reply if kind.usage else replace(reply, usage=None)

    def _scripted(self, request: dict[str, Any]) -> object:
        with self._lock:
            number, self._asked = self._asked, self._asked + 1
        try:
            return self.script(request, number)
        except Exception as error:  # noqa: BLE001 - raised in the test's own thread on leaving
            self._errors.append(error)
            return Reply("the script failed", status=500)

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self.connections += 1

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self._closing.wait(seconds)


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections, as real servers do

        def setup(self) -> None:
            server.connected()
            super().setup()

        def do_GET(self) -> None:
            known = self.path == "/v1/models"
            body = {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
            self._send(200 if known else 404, json.dumps(body if known else {}).encode(), {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path != "/v1/chat/completions":
                self._send(404, b"{}", {})
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.answer(Request(self.path, body, headers))
            server.pause(reply.delay_s)
            if reply.drop:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            streams = bool(body.get("stream")) and server.kind.streams
            if streams and reply.status == 200 and reply.raw is None:
                self._send_stream(reply.chunks(body), reply.chunk_s)
                return
            self._send(reply.status, reply.body(body), reply.headers, reply.trickle_s)

        def _send_stream(self, chunks: list[bytes], chunk_s: float) -> None:
            try:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                for chunk in chunks:
                    server.pause(chunk_s)
                    self.wfile.write(chunk)
            except OSError:  # the client has gone
                pass
            self.close_connection = True

        def _send(
            self, status: int, body: bytes, headers: dict[str, str], trickle_s: float = 0.0
        ) -> None:
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in _pieces(body, trickle_s):
                    server.pause(trickle_s)
                    self.wfile.write(piece)
            except OSError:  # the client has gone: a time-out or a limit, as the test wants
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


def _pieces(body: bytes, trickle_s: float) -> Iterator[bytes]:
    """The body at once, or byte by byte."""
    if trickle_s:
        yield from (body[i : i + 1] for i in range(len(body)))
    else:
        yield body
