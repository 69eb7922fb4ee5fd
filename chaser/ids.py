"""Identifiers: opaque strings with a prefix, ordered by the time at which they were made.

Forty-eight bits of Unix milliseconds and eighty random bits in Crockford's base 32, lower case (the layout of
https://github.com/ulid/spec), so that a list sorted by id is sorted by age.
"""

import secrets
from datetime import datetime
from typing import NewType

JobId = NewType("JobId", str)
SandboxId = NewType("SandboxId", str)
KeyId = NewType("KeyId", str)
InstanceId = NewType("InstanceId", str)
WorkerId = NewType("WorkerId", str)
"""One start of one service process."""
WorkspaceId = NewType("WorkspaceId", str)
UploadId = NewType("UploadId", str)
SnapshotId = NewType("SnapshotId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26


def new_id(prefix: str, at: datetime) -> str:
    """A fresh identifier such as `job_01k9w7…`."""
    return _written(prefix, at, secrets.randbits(80))


def first_id(prefix: str, at: datetime) -> str:
    """The lowest identifier of that millisecond: every one that was made earlier is lower."""
    return _written(prefix, at, 0)


def _written(prefix: str, at: datetime, bits: int) -> str:
    number = (int(at.timestamp() * 1000) << 80) | bits
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def new_job_id(at: datetime) -> JobId:
    return JobId(new_id("job", at))


def new_sandbox_id(at: datetime) -> SandboxId:
    return SandboxId(new_id("sbx", at))


def new_workspace_id(at: datetime) -> WorkspaceId:
    return WorkspaceId(new_id("wsp", at))


def new_upload_id(at: datetime) -> UploadId:
    return UploadId(new_id("upl", at))


def new_snapshot_id(at: datetime) -> SnapshotId:
    return SnapshotId(new_id("snp", at))
