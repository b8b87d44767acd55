"""A real local HTTP server that speaks chat completions, for tests, with faults on demand.

Test files get it through the fixtures ``start_chat_server`` and ``reply`` of the
conftest; they do not import this file.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "scripted"


@dataclass(frozen=True)
class Reply:
    """What the server answers to one request; the defaults are those of a good answer.

    ``content`` is the assistant's text, or an object that is written as JSON; with a
    ``status`` of 400 and more it is the error's message. ``raw`` replaces the whole body.
    ``drop`` closes the connection without a word. ``trickle_s`` is a pause before each
    byte of the body. ``usage`` is (prompt, completion) tokens; None leaves the field out,
    the default estimates. ``calls`` are tool calls, (name, arguments) each; to a request
    that asks for a stream the answer comes in chunks, ``chunk_s`` apart.
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
        end = "tool_calls" if self.calls else self.finish_reason
        choices = [[{"index": 0, "delta": d, "finish_reason": None}] for d in deltas]
        choices.append([{"index": 0, "delta": {}, "finish_reason": end}])
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0}
        rows = [{**common, "model": MODEL, "choices": c} for c in choices]
        if isinstance(self.usage, tuple):
            usage = {"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1]}
            rows.append({**common, "model": MODEL, "choices": [], "usage": usage})
        events = [json.dumps(row) for row in rows]
        return [f"data: {event}\n\n".encode() for event in (*events, "[DONE]")]

    def body(self, request: dict[str, Any]) -> bytes:
        """The response's body."""
        if self.raw is not None:
            return self.raw
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        if self.status != 200:
            return json.dumps({"error": {"message": text, "type": "scripted"}}).encode()
        message = {"role": "assistant", "content": text, "refusal": self.refusal}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
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


class ChatServer:
    """Serves ``script`` on a free port of this machine, from entering to leaving.

    ``requests`` holds what came in; ``script`` may be replaced at any time. An error in a
    script is raised on leaving.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
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
        """Record the request and let the script answer it."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
        try:
            said = self.script(request.json, number)
        except Exception as error:  # noqa: BLE001 - raised in the test's own thread on leaving
            self._errors.append(error)
            said = Reply("the script failed", status=500)
        return said if isinstance(said, Reply) else Reply(said)

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self._closing.wait(seconds)


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections, as real servers do

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
            if body.get("stream") and reply.status == 200 and reply.raw is None:
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
