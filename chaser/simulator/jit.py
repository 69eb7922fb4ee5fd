"""The just-in-time configuration: base64 of a JSON object of file names to base64 contents, as the runner reads it.

https://github.com/actions/runner/blob/main/src/Runner.Listener/Runner.cs (`arg.jitconfig`)
"""

import base64
import json
import secrets
from collections.abc import Mapping

from chaser.simulator.message import lines
from chaser.simulator.payload import Job
from chaser.simulator.world import Runner

FILES = (".runner", ".credentials", ".credentials_rsaparams")


def encode(runner: Runner, host: str, far_side: str | None, job: Job | None = None) -> str:
    """`far_side`: the address at which this runner reports to the simulator; none where it cannot reach it, and then `job`
    is what it runs without being told.
    """
    settings: dict[str, object] = {
        "AgentId": str(runner.id),
        "AgentName": runner.name,
        "DisableUpdate": "True",
        "Ephemeral": "True",
        "GitHubUrl": f"{host}/{runner.scope.partition('/')[2]}",
        "PoolId": "1",
        "PoolName": "Default",
        "ServerUrl": "https://pipelines.actions.githubusercontent.com/simulated/",
        "WorkFolder": "_work",
    }
    if far_side is not None:
        settings["SimulatorUrl"] = f"{far_side}/_runner/{runner.id}"
        settings["SimulatorToken"] = runner.token
    elif job is not None:
        settings["SimulatorJob"] = _base64(lines(job))
    credentials = {
        "Scheme": "OAuth",
        "Data": {
            "ClientId": secrets.token_hex(16),
            "AuthorizationUrl": "https://vstoken.actions.githubusercontent.com/",
        },
    }
    # As long as a real one: eight numbers of a 2,048-bit key.
    rsa = {name: _number(size) for name, size in _RSA.items()}
    contents = zip(FILES, (settings, credentials, rsa), strict=True)
    return _base64(json.dumps({name: _base64(json.dumps(content)) for name, content in contents}))


def decode(blob: str) -> Mapping[str, Mapping[str, object]]:
    files = json.loads(base64.b64decode(blob))
    return {name: json.loads(base64.b64decode(content)) for name, content in files.items()}


_RSA = {"d": 256, "dp": 128, "dq": 128, "exponent": 3, "inverseQ": 128, "modulus": 256, "p": 128, "q": 128}


def _number(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
