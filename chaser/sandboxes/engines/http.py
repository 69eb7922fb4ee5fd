"""The engine's API spoken directly, for what the SDK cannot do: calls that stream, and that can be ended at any time."""

import httpx

UNIX = "unix://"
ANSWER_DEADLINE = 30.0
"""Seconds for every call whose deadlines are not its caller's."""


def engine_client(host: str) -> httpx.AsyncClient:
    """`host` is `unix://…` or `tcp://…`."""
    local = host.startswith(UNIX)
    return httpx.AsyncClient(
        base_url="http://engine" if local else host.replace("tcp://", "http://", 1),
        transport=httpx.AsyncHTTPTransport(uds=host.removeprefix(UNIX)) if local else None,
        timeout=ANSWER_DEADLINE,
        trust_env=False,
    )
