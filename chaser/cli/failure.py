"""What went wrong with a command, as the person at the terminal or the script reads it."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import typer

from chaser.cli import output
from chaser.cli.exit_status import INTERRUPTED, UNAVAILABLE
from chaser.errors import ChaserError, ConfigError, Unavailable


@dataclass(eq=False)
class Failure(ChaserError):
    """The command could not do its work; `exit_status` is the program's, `code` is stable."""

    code: str
    message: str
    exit_status: int = UNAVAILABLE
    details: Mapping[str, object] = field(default_factory=dict[str, object])

    def document(self) -> dict[str, object]:
        return {"error": {"code": self.code, "message": self.message, "details": dict(self.details)}}


@contextmanager
def reported(*, json: bool) -> Generator[None]:
    """Turn a failure into a line on stderr, with `json` a document on stdout, and the exit status."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Failure as failure:
        _report(failure, json=json)
        raise typer.Exit(failure.exit_status) from None
    except Unavailable as error:
        _report(Failure(error.reason.value, error.message), json=json)
        raise typer.Exit(UNAVAILABLE) from None
    except PermissionError as error:
        message = f"{error.filename} may not be used by this user: {error.strerror}. See `chaser doctor`."
        _report(Failure("not_permitted", message), json=json)
        raise typer.Exit(UNAVAILABLE) from None
    except ConfigError as error:
        failure = Failure("invalid_configuration", str(error), details={"faults": list(error.faults)})
        _report(failure, json=json)
        raise typer.Exit(failure.exit_status) from None


def _report(failure: Failure, *, json: bool) -> None:
    if json:
        output.document(failure.document())
    output.note(failure.message)
