"""GET /v1/jobs/{id}/artifacts: list, bytes, tar."""

import io
import tarfile
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from chaser.ids import JobId
from chaser.keys import Scope
from chaser.sandboxes.files import Artifact
from tests.api_service import Service, bearer, service
from tests.bare_rows import ended

CONTENTS = {
    "a.html": b"<script>alert(1)</script>",
    "deep/down/b.bin": bytes(range(256)) * 3000,
    "empty": b"",
    'na"sty\n\\xff é%2F?#.txt': b"nasty",
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as running:
        yield running


async def with_artifacts(api: Service, tmp_path: Path, **changes: object) -> JobId:
    job_id = await ended(api.store, datetime.now(UTC), **changes)
    (tmp_path / "artifacts" / job_id).mkdir()
    rows: list[Artifact] = []
    for number, (path, content) in enumerate(CONTENTS.items()):
        rows.append(Artifact(path, len(content), 0o755, f"x-{number}"))
        (tmp_path / "artifacts" / job_id / f"x-{number}").write_bytes(content)
    await api.store.artifacts.replace(job_id, rows)
    return job_id


def url(job_id: JobId, path: str) -> str:
    return f"/v1/jobs/{job_id}/artifacts/{quote(path, safe='/')}"


async def test_what_a_job_has_left_is_listed_and_read_byte_for_byte(api: Service, tmp_path: Path) -> None:
    job_id = await with_artifacts(api, tmp_path)

    listed = (await api.http.get(f"/v1/jobs/{job_id}/artifacts")).json()

    assert listed["next_cursor"] is None
    assert {each["path"]: each["size_bytes"] for each in listed["data"]} == {
        path: len(content) for path, content in CONTENTS.items()
    }
    for path, content in CONTENTS.items():
        answer = await api.http.get(url(job_id, path))
        assert (answer.status_code, answer.content) == (200, content), path
        assert answer.headers["content-length"] == str(len(content))


async def test_no_browser_shows_one_as_a_page(api: Service, tmp_path: Path) -> None:
    job_id = await with_artifacts(api, tmp_path)

    for path in CONTENTS:
        headers = (await api.http.get(url(job_id, path))).headers
        assert headers["content-type"] == "application/octet-stream"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        assert headers["content-disposition"].isprintable()
        assert "sandbox" in headers["content-security-policy"]


async def test_the_head_of_one_has_no_body(api: Service, tmp_path: Path) -> None:
    job_id = await with_artifacts(api, tmp_path)

    answer = await api.http.head(url(job_id, "deep/down/b.bin"))

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(256 * 3000)


async def test_all_of_them_come_as_one_tar(api: Service, tmp_path: Path) -> None:
    job_id = await with_artifacts(api, tmp_path)

    answer = await api.http.get(f"/v1/jobs/{job_id}/artifacts", params={"format": "tar"})

    assert answer.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        found: dict[str, bytes] = {}
        for member in tar.getmembers():
            content = tar.extractfile(member)
            assert content is not None
            assert member.mode == 0o755
            found[member.name] = content.read()
    assert found == CONTENTS


async def test_a_job_that_has_left_nothing_has_an_empty_list_and_an_empty_tar(api: Service) -> None:
    job_id = await ended(api.store, datetime.now(UTC))
    path = f"/v1/jobs/{job_id}/artifacts"

    assert (await api.http.get(path)).json() == {"data": [], "next_cursor": None}
    with tarfile.open(
        fileobj=io.BytesIO((await api.http.get(path, params={"format": "tar"})).content)
    ) as tar:
        assert tar.getmembers() == []


async def test_what_is_not_there_is_said(api: Service, tmp_path: Path) -> None:
    job_id = await with_artifacts(api, tmp_path)
    (tmp_path / "artifacts" / job_id / "x-2").unlink()

    for path, code in (
        (url(job_id, "no"), "artifact_not_found"),
        (url(job_id, "deep"), "artifact_not_found"),
        (url(job_id, "..%2f..%2fchaser.db"), "artifact_not_found"),
        (url(job_id, "empty"), "artifact_not_found"),
        (url(JobId("job_" + "0" * 26), "a.html"), "job_not_found"),
        (f"/v1/jobs/job_{'0' * 26}/artifacts", "job_not_found"),
    ):
        answer = await api.http.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, code), path


async def test_only_who_sees_the_job_and_may_read_files_gets_any(api: Service, tmp_path: Path) -> None:
    job_id = await with_artifacts(api, tmp_path, key_id="key_of_another")
    own = bearer(await api.key_with(own_jobs=True))
    blind = bearer(await api.key_with(scopes=frozenset({Scope.JOBS_READ})))

    for path in (f"/v1/jobs/{job_id}/artifacts", url(job_id, "a.html")):
        assert (await api.http.get(path, headers=own)).status_code == 404
        assert (await api.http.get(path, headers=blind)).status_code == 403
