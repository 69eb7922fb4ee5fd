"""`python -m chaser.simulator serve | deliver`: a simulated GitHub, and one delivery from it."""
# ruff: noqa: T201 - a program that prints

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from chaser.simulator.app import github
from chaser.simulator.credentials import KeyPair, key_pair, new_key_pair
from chaser.simulator.delivery import deliver, queued
from chaser.simulator.payload import Job
from chaser.simulator.serving import serving
from chaser.simulator.world import Installation, World


def main() -> int:
    options = _parser().parse_args()
    if options.run is _serve:
        options.keys = _keys(Path(options.key))
    try:
        return asyncio.run(options.run(options))
    except KeyboardInterrupt:
        return 130


async def _serve(options: argparse.Namespace) -> int:
    world = World(options.app_id, options.keys.public)
    for number, account in enumerate(options.account or ["octocat"], start=1):
        world.install(Installation(number, account))
    async with serving(github(world, options.far_side), options.host, options.port) as url:
        print(f"GitHub, simulated: {url} · App {options.app_id} · private key {options.key}", flush=True)
        await asyncio.get_running_loop().create_future()
    return 0


async def _deliver(options: argparse.Namespace) -> int:
    secret = os.environ.get("CHASER_GITHUB__WEBHOOK_SECRET", "")
    if not secret:
        print("Set CHASER_GITHUB__WEBHOOK_SECRET to the secret that the service knows.", file=sys.stderr)
        return 2
    job = Job(
        labels=tuple(options.label or ["chaser"]),
        repository=options.repository,
        installation_id=options.installation,
    )
    sent = queued(job)
    answer = await deliver(replace(sent, guid=options.guid or sent.guid), options.url, secret)
    print(answer.status_code, answer.text)
    return 0 if answer.is_success else 1


def _keys(path: Path) -> KeyPair:
    """The App's keys: those in the file, or new ones, which are written to it."""
    if path.exists():
        return key_pair(path.read_text())
    keys = new_key_pair()
    path.touch(mode=0o600)
    path.write_text(keys.private)
    return keys


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaser.simulator", description=__doc__)
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="serve GitHub's API on a port")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=9400)
    serve.add_argument("--app-id", type=int, default=1)
    serve.add_argument("--key", default="simulated-app.pem", help="the App's private key; made if missing")
    serve.add_argument("--account", action="append", help="who has installed the App (may be repeated)")
    serve.add_argument("--far-side", help="this server's address as runners in sandboxes see it, if they do")
    serve.set_defaults(run=_serve)
    send = commands.add_parser("deliver", help="send one signed workflow_job delivery")
    send.add_argument("--url", default="http://127.0.0.1:8080/webhooks/github")
    send.add_argument("--label", action="append", help="one of runs-on (may be repeated)")
    send.add_argument("--repository", default="octocat/example")
    send.add_argument("--installation", type=int, default=1)
    send.add_argument("--guid", help="the delivery's id; the same again is a redelivery")
    send.set_defaults(run=_deliver)
    return parser


if __name__ == "__main__":
    sys.exit(main())
