"""Requests that faults hit: answered wrongly, late, or not at all, before or after they were carried out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from localrender.api import recorded
from localrender.api.answers import accepted, answer
from localrender.api.logs import CUT_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from localrender.faults import Armed
    from localrender.server import LocalRender

_CLOSE = "localrender.close"
_ANSWERS = {
    "answer-429": (429, "rate limit exceeded"),
    "answer-500": (500, "internal server error"),
    "answer-503": (503, "service unavailable"),
}


class Protocol(H11Protocol):
    """HTTP whose connection an application may close: ASGI alone has no word for "no answer"."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the application the way to close the connection."""
        super().connection_made(transport)
        inner: Any = self.app

        async def with_close(scope: Any, receive: Any, send: Any) -> None:
            await inner(scope | {_CLOSE: transport.close}, receive, send)

        self.app = with_close


class Exchange(msgspec.Struct, frozen=True):
    """One request and the way its answer takes."""

    scope: Scope
    receive: Receive
    send: Send
    headers: dict[str, str]
    """What every answer carries; set by the gate."""
    noted: dict[str, Any]
    """What the request log says of it besides."""
    note: Callable[[int], None]
    """Writes the line of the request log, with the status that the client sees; 0 for none."""


async def disturb(local: LocalRender, application: ASGIApp, exchange: Exchange) -> None:
    """Carry out a request as the armed faults say; as ever when none of them is about it."""
    faults, scope = local.faults, exchange.scope
    if faults is None:
        return
    method, path = scope.get("method", "GET"), scope["path"]
    beside = {one.rule.fault: one for one in faults.take_request(method, path, beside=True)}
    deciding = faults.take_request(method, path, beside=False)
    names = [*beside, *(one.rule.fault for one in deciding)]
    if names:
        exchange.noted["fault"] = ",".join(names)
    if "latency" in beside:
        await asyncio.sleep(beside["latency"].value() / 1000)

    async def carry_out() -> list[Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await application(scope, exchange.receive, keep)
        return recorded.rewritten(messages, local.state, faults, nulls="as-recorded" in beside)

    if deciding and scope["type"] == "websocket" and deciding[0].rule.fault not in _ANSWERS:
        await _cut(deciding[0], application, exchange)
    elif deciding:
        await _decide(deciding[0], local, exchange, carry_out)
    elif scope["type"] == "http" and ("as-recorded" in beside or recorded.is_needed(faults)):
        for message in await carry_out():
            await exchange.send(message)
    else:
        await application(scope, exchange.receive, exchange.send)


async def _decide(one: Armed, local: LocalRender, exchange: Exchange, carry_out: Callable[[], Any]) -> None:
    name, scope, receive, send = one.rule.fault, exchange.scope, exchange.receive, exchange.send
    if name in _ANSWERS:
        status, text = _ANSWERS[name]
        told = answer({"message": text}, status)
        if status == 429:
            exchange.headers["Ratelimit-Remaining"] = "0"
            if one.rule.value is not None:
                told.headers["Retry-After"] = f"{one.rule.value:g}"
                exchange.headers["Ratelimit-Reset"] = f"{one.rule.value:.0f}"
        await told(scope, receive, send)
        return
    messages: list[Message] = []
    if name not in ("hang", "drop-before"):
        messages = await carry_out()
        exchange.noted["done"] = messages[0]["status"]
    if name == "error-after":
        await answer({"message": "internal server error"}, 500)(scope, receive, send)
    elif name == "empty-202":
        if messages[0]["status"] < 300:
            await accepted()(scope, receive, send)
        else:
            for message in messages:
                await send(message)
    else:
        exchange.note(0)
        if name.startswith("hang"):
            await _until_gone(receive, local.stopping, one.value())
        scope[_CLOSE]()
        await _until_gone(receive, None, None)


async def _cut(one: Armed, application: ASGIApp, exchange: Exchange) -> None:
    """A websocket that is closed after some lines, or before it is open."""
    if one.rule.fault == "logs-cut":
        await application({**exchange.scope, CUT_AFTER: int(one.value())}, exchange.receive, exchange.send)
    else:
        exchange.note(0)
        await exchange.send({"type": "websocket.close", "code": 1011})


async def _until_gone(receive: Receive, stopping: asyncio.Event | None, patience: float | None) -> None:
    """Wait until the client has gone, the server stops, or the time is over."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waiting = [asyncio.ensure_future(gone())]
    if stopping is not None:
        waiting.append(asyncio.ensure_future(_is_set(stopping)))
    try:
        await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


async def _is_set(event: asyncio.Event) -> None:
    await event.wait()
