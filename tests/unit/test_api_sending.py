"""Sending to clients that may not read."""

import asyncio
from datetime import timedelta

import pytest
from starlette.types import Message

from chaser.api.sending import Sender, Stalled


async def test_an_answer_goes_out_piece_by_piece() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    sender = Sender(send, timedelta(minutes=1))
    await sender.start(200, {"Content-Type": "text/plain"})
    await sender.piece(b"a")
    await sender.end(b"b")
    assert sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b", "more_body": False},
    ]


async def test_a_client_that_takes_nothing_for_too_long_has_stalled() -> None:
    async def send(message: Message) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stalled):
        await Sender(send, timedelta(milliseconds=10)).piece(b"a")
