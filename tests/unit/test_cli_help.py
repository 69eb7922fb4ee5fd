"""`chaser --help` must be quick, so it must import none of what is heavy."""

import subprocess
import sys

HEAVY = (
    "docker githubkit sqlmodel sqlalchemy alembic httpx uvicorn starlette pydantic_settings rich structlog yaml pathspec tarfile "
    "asyncio"
)


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_imports_nothing_heavy() -> None:
    out = run(
        "import sys\n"
        "from chaser.cli.program import program\n"
        "for words in (['exec'], ['jobs', 'run'], ['workspaces', 'push']):\n"
        "    try: program([*words, '--help'], prog_name='chaser')\n"
        "    except SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r}.split() if name in sys.modules])"
    )
    assert "HEAVY []" in out
    assert "--timeout" in out


def test_the_version_is_the_packages() -> None:
    from chaser import __version__

    out = subprocess.run(
        [sys.executable, "-m", "chaser", "--version"], capture_output=True, text=True, check=True
    )
    assert out.stdout == f"chaser {__version__}\n"
