"""Which service the client commands talk to, and with which key."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chaser.cli.failure import Failure
from chaser.secret import Secret

if TYPE_CHECKING:
    from chaser.config import Settings


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    key: Secret

    @property
    def local(self) -> bool:
        return is_loopback(self.url)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key.reveal()}"}


def local_settings() -> "Settings":
    """The settings of the service on this machine. Raises `ConfigError`."""
    # a client that was told its service needs none of this
    from chaser.config import Settings, find_file

    return Settings.load(os.environ, find_file(os.environ, Path.cwd()))


def find_service(environ: Mapping[str, str]) -> Service:
    """From `CHASER_API_URL` and `CHASER_API_KEY`; what is not set is the local service's address and first key."""
    url, key = environ.get("CHASER_API_URL"), environ.get("CHASER_API_KEY")
    if url and key:
        return Service(_checked(url), _header_safe(key))
    settings = local_settings()
    address = _checked(url) if url else settings.local_url
    return Service(address, _header_safe(key) if key else _first_key(address, settings.first_key_file))


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
        raise Failure("invalid_url", "CHASER_API_URL must be a URL such as http://127.0.0.1:8080.")
    return url.rstrip("/")


def _header_safe(key: str) -> Secret:
    if not (key.isascii() and key.isprintable()):
        raise Failure("invalid_key", "CHASER_API_KEY holds characters that no key has; set it anew.")
    return Secret(key)


def _first_key(url: str, file: Path) -> Secret:
    """The first key of the local installation, which never goes to another machine."""
    if is_loopback(url):
        try:
            return _header_safe(file.read_text(encoding="ascii").strip())
        except FileNotFoundError:
            pass
        except (PermissionError, UnicodeDecodeError):
            raise Failure("no_key", f"Set CHASER_API_KEY: the first key in {file} cannot be read.") from None
    raise Failure(
        "no_key",
        "Set CHASER_API_KEY to an API key of the service; `chaser keys create` on its machine makes one.",
    )


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
