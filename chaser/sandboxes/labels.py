"""How a container says whose it is."""

from chaser.ids import SandboxId

INSTANCE = "chaser.instance"
SANDBOX = "chaser.sandbox"


def container_name(sandbox: SandboxId) -> str:
    return "chaser-" + sandbox.removeprefix("sbx_")
