"""What every connection of the service's clients has from its socket."""

import socket

import uvicorn

from chaser.service import listening


def test_connections_send_without_delay_and_find_out_who_has_vanished() -> None:
    """Of a socket that it is given, asyncio sets neither."""
    with listening(uvicorn.Config("none", host="127.0.0.1", port=0)) as bound:
        bound.listen()
        with socket.create_connection(bound.getsockname()):
            accepted, _ = bound.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 30
