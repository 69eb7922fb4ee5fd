"""What can be checked of this machine without the engine: Python, disks, the clock, the port, firewall tools."""

import os
import platform
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from chaser.config import Settings
from chaser.findings import Finding, failed, ok, warning
from chaser.sandboxes.spec import Network
from chaser.space import Room

_GIB = 1 << 30
_BUILT_AFTER = datetime(2025, 1, 1, tzinfo=UTC)
_DRIFT = timedelta(seconds=30)
"""GitHub refuses an App's token that is made in the future; it lasts 10 minutes at most."""
_PATIENCE = 3.0


def python() -> Finding:
    found = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.platform(terse=True)}"
    if sys.platform != "linux":
        return warning("python", found, "Chaser is made for Linux; elsewhere nothing is promised.")
    return ok("python", found)


def data_dir(settings: Settings) -> Finding:
    """Whether the service could write there. What is missing is not made: that is the service's to do."""
    folder = settings.data_dir
    mend = f"Give this user write access to {folder}, or set CHASER_DATA_DIR to another directory."
    nearest = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        return failed("data", f"{nearest} cannot be written: {error.strerror}", mend)
    if not folder.exists():
        return ok("data", f"{folder} will be made at the first start")
    if folder.stat().st_mode & 0o077:
        return warning("data", f"{folder} is open to other users", f"Run: chmod 700 {folder}")
    return ok("data", f"{folder} is writable")


def disk(check: str, folder: Path, settings: Settings) -> Finding:
    limits, usage = settings.limits, shutil.disk_usage(_nearest(folder))
    wanted, free = limits.free_space_bytes, usage.free
    used = Room(usage.used, free).used_percent
    found = f"{free / _GIB:.1f} GiB free at {folder}, {used:.0f} % used"
    if used > limits.disk_full_percent:
        mend = f"Free space there; above {limits.disk_full_percent} % (limits.disk_full_percent) no run is started."
        return failed(check, found, mend)
    if used > limits.disk_clean_percent:
        return warning(check, found, "Free some space soon: what can be done without is being removed.")
    if free < wanted:
        mend = f"Free space there; below {wanted / _GIB:.1f} GiB (limits.free_space_bytes) no run is started."
        return failed(check, found, mend)
    if free < 4 * wanted:
        return warning(check, found, "Free some space soon: images and runs need room.")
    return ok(check, found)


def _nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that is there."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


async def clock(settings: Settings, now: datetime) -> Finding:
    mend = (
        "Set the clock and keep it right with a time service (on Debian: apt-get install systemd-timesyncd)."
    )
    database = settings.data_dir / "chaser.db"
    if now < _BUILT_AFTER:
        return failed("clock", f"It is {now:%Y-%m-%d %H:%M} here, which cannot be", mend)
    if database.exists() and database.stat().st_mtime > (now + _DRIFT).timestamp():
        return failed("clock", f"It is {now:%Y-%m-%d %H:%M} here, and the database was written later", mend)
    if settings.github.app_id is None:
        return ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")
    return await _against_github(settings.github.api_url, now, mend)


async def _against_github(url: str, now: datetime, mend: str) -> Finding:
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE) as client:
            answer = await client.head(url)
            theirs = parsedate_to_datetime(answer.headers["Date"])
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        check = "Check the network and github.api_url; GitHub's runners cannot be had without it."
        return warning("clock", f"{url} does not answer, so the clock could not be compared", check)
    drift = abs(theirs - now)
    found = f"{drift.total_seconds():.0f} s apart from GitHub's clock"
    return ok("clock", found) if drift <= _DRIFT else failed("clock", found, mend)


async def port(settings: Settings) -> Finding:
    address = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if await _is_chaser(settings.local_url):
                return ok("port", f"{address} is served by Chaser")
            mend = "Stop what uses it, or set CHASER_HOST and CHASER_PORT to an address that is free."
            return failed("port", f"{address} cannot be had: {error.strerror}", mend)
    return ok("port", f"{address} is free")


async def _is_chaser(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False) as client:
            answer = await client.get(f"{url}/livez")
    except httpx.HTTPError:
        return False
    return answer.is_success and "X-Request-Id" in answer.headers


def firewall(settings: Settings, environ: Mapping[str, str]) -> Finding:
    """Whether the rules can be set that keep sandboxes with a network away from private addresses."""
    if all(profile.network is Network.NONE for profile in settings.profiles.values()):
        return ok("firewall", "no profile uses a network")
    only_none = 'without its rules the service offers network "none" only'
    path = os.pathsep.join((environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    if shutil.which("iptables", path=path) is None:
        return warning(
            "firewall", f"iptables is missing; {only_none}", "Install it: apt-get install iptables"
        )
    if os.geteuid() != 0:
        mend = "Run the service as root, or with the capability NET_ADMIN."
        return warning("firewall", f"this user may not set firewall rules; {only_none}", mend)
    return ok("firewall", "iptables is there, and may be used")
