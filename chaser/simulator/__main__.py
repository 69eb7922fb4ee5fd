"""`python -m chaser.simulator serve | run | deliver`: a simulated GitHub, a workflow run in it, one delivery from it."""
# ruff: noqa: T201 - a program that prints

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx

from chaser.simulator.app import assemble
from chaser.simulator.credentials import KeyPair, key_pair, new_key_pair
from chaser.simulator.delivery import deliver, queued
from chaser.simulator.payload import Job
from chaser.simulator.serving import serving
from chaser.simulator.world import PERMISSIONS, Hook, Installation, World

ORGANIZATION: Mapping[str, str] = {
    "actions": "read",
    "metadata": "read",
    "organization_self_hosted_runners": "write",
}
_SECRET = "CHASER_GITHUB__WEBHOOK_SECRET"  # noqa: S105 - the variable's name


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
    accounts = [*(options.account or ([] if options.organization else ["octocat"])), *options.organization]
    for number, account in enumerate(accounts, start=1):
        organization = account in options.organization
        world.install(Installation(number, account, ORGANIZATION if organization else PERMISSIONS))
    world.hook = Hook(options.hook_url, os.environ.get(_SECRET, ""))
    made = assemble(world, options.far_side)
    async with serving(made.app, options.host, options.port, made.workflows.close) as url:
        world.address = url
        print(f"GitHub, simulated: {url} · App {options.app_id} · private key {options.key}", flush=True)
        await asyncio.get_running_loop().create_future()
    return 0


async def _run(options: argparse.Namespace) -> int:
    job = {"labels": options.label or ["chaser"]}
    if options.command:
        job["steps"] = [{"name": command, "run": command} for command in options.command]
    jobs = [{**job, "name": f"build ({number})"} for number in range(1, options.jobs + 1)]
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"repository": options.repository, "jobs": jobs}
        answer = await client.post(f"{options.simulator}/_sim/runs", json=body)
    print(answer.text)
    return 0 if answer.is_success else 1


async def _deliver(options: argparse.Namespace) -> int:
    secret = os.environ.get(_SECRET, "")
    if not secret:
        print(f"Set {_SECRET} to the secret that the service knows.", file=sys.stderr)
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
    serve.add_argument("--organization", action="append", default=[], help="the same, of an organization")
    serve.add_argument(
        "--hook-url", help=f"where deliveries go, signed with {_SECRET}; none are sent without"
    )
    serve.add_argument("--far-side", help="this server's address as runners in sandboxes see it, if they do")
    serve.set_defaults(run=_serve)
    run = commands.add_parser("run", help="start a workflow run in a simulator that serves")
    run.add_argument("--simulator", default="http://127.0.0.1:9400")
    run.add_argument("--repository", default="octocat/example")
    run.add_argument("--label", action="append", help="one of runs-on (may be repeated)")
    run.add_argument("--jobs", type=int, default=1, help="how many of them, as of a matrix")
    run.add_argument("--command", action="append", help="a step's bash command (may be repeated)")
    run.set_defaults(run=_run)
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
