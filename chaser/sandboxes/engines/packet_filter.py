"""The machine's packet filter, through the programs `iptables` and `ip6tables`. Never a shell, always their lock (`-w`)."""

import asyncio
from collections.abc import Sequence

from chaser.errors import ChaserError
from chaser.sandboxes.egress import Names, leads

Jumps = Sequence[tuple[str, Sequence[str]]]
"""Chains that are not ours, and the rule of ours in each."""


class PacketFilterError(ChaserError):
    """The packet filter's program ended with a status other than 0."""


async def replace(chains: str) -> None:
    """Set whole chains of ours, in one change."""
    await _run("iptables-restore", "-w", "--noflush", given=chains)


async def lead(program: str, jumps: Jumps, called: Names) -> None:
    """Put our rule at the head of each chain, unless it is there already."""
    for chain, rule in jumps:
        if not leads(await _run(program, "-w", "-S", chain), called):
            await withdraw(program, [(chain, rule)])
            await _run(program, "-w", "-I", chain, "1", *rule)


async def withdraw(program: str, jumps: Jumps) -> None:
    """Take our rule out of each chain, however often it is there."""
    for chain, rule in jumps:
        while await holds(program, chain, rule):
            await _run(program, "-w", "-D", chain, *rule)


async def discard(chains: Sequence[str]) -> None:
    """Remove chains of ours, to which nothing leads any more."""
    for chain in chains:
        if await _succeeds("iptables", "-w", "-S", chain):
            await _run("iptables", "-w", "-F", chain)
            await _run("iptables", "-w", "-X", chain)


async def holds(program: str, chain: str, rule: Sequence[str]) -> bool:
    return await _succeeds(program, "-w", "-C", chain, *rule)


async def _succeeds(program: str, *arguments: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait() == 0


async def _run(program: str, *arguments: str, given: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaint = await process.communicate(given.encode())
    if process.returncode != 0:
        raise PacketFilterError(f"{program}: {complaint.decode(errors='replace').strip()}")
    return printed.decode()
