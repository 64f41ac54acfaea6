"""Reading bodies: limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request

from components.serving import app
from components.serving.app import read_body
from components.serving.requests import RequestError


def request(parts: list[bytes], *, headers: dict[str, str] | None = None, stall: bool = False) -> Request:
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        if not waiting and stall:
            await asyncio.sleep(60)
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": stall or bool(waiting)}

    encoded = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "method": "POST", "headers": encoded}, receive)


def test_parts_are_joined() -> None:
    assert asyncio.run(read_body(request([b"ab", b"", b"c"]), 3)) == b"abc"


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: request([b"ab", b"cd"]), 413),
        (lambda: request([], headers={"content-length": "49"}), 413),
        (lambda: request([b"a"], stall=True), 408),
    ],
)
def test_too_much_and_too_slow_are_refused(
    make: Callable[[], Request], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "READ_SECONDS", 0.05)
    with pytest.raises(RequestError) as caught:
        asyncio.run(read_body(make(), 3))
    assert caught.value.status == status
