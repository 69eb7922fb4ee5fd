"""What a sandbox still may: work as people expect of their CI's commands, without any network."""

from collections.abc import Generator, Mapping

import pytest

from tests.acceptance.machine import DEFAULT
from tests.acceptance.service import Service

pytestmark = pytest.mark.docker

SETUID = "chaser-setuid:test"


@pytest.fixture(scope="module")
def settings(default_image: str) -> Mapping[str, str]:
    return {
        "CHASER_PROFILES__DEFAULT__IMAGE": default_image,
        "CHASER_PROFILES__DEFAULT__LIMITS__MEMORY": "1g",
        "CHASER_PROFILES__ROOTED__ISOLATION": "sudo",
    }


def succeeds(service: Service, command: str, **fields: object) -> str:
    answer = service.run(f"set -eu\n{command}", **fields)
    assert (answer["status"], answer["exit_code"]) == ("succeeded", 0), answer["output"]
    return answer["output"]


DEB = """
mkdir -p p/DEBIAN p/usr/local/bin p/var/lib/thing && cd p
printf 'Package: thing\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@x>\\nDescription: x\\n' > DEBIAN/control
printf '#!/bin/sh\\nchown games:games /var/lib/thing\\nchmod 2755 /var/lib/thing\\n' > DEBIAN/postinst
printf '#!/bin/sh\\necho it works\\n' > usr/local/bin/thing
chmod 755 DEBIAN/postinst usr/local/bin/thing && cd ..
dpkg-deb --root-owner-group --build p thing.deb >/dev/null
"""


@pytest.mark.parametrize("install", ["dpkg -i ./thing.deb", "apt-get install -y ./thing.deb"])
def test_debian_packages_install_as_root(service: Service, install: str) -> None:
    """With the rights that maintainer scripts need, and apt's own drop to the user _apt."""
    output = succeeds(service, f"{DEB}{install}\nthing\nstat -c '%U %a' /var/lib/thing")
    assert output.endswith("it works\ngames 2755\n")


def test_npm_ci_installs_a_locked_project(service: Service) -> None:
    command = r"""
    mkdir dep && printf '{"name":"dep","version":"1.0.0"}' > dep/package.json
    echo 'module.exports = "it works"' > dep/index.js
    printf '{"name":"app","version":"1.0.0","dependencies":{"dep":"file:dep"}}' > package.json
    npm install --package-lock-only --offline --no-audit --no-fund >/dev/null
    npm ci --offline --no-audit --no-fund >/dev/null
    node -p 'require("dep")'
    """
    assert succeeds(service, command).endswith("it works\n")


PYTHON_PACKAGE = r"""
mkdir -p pkg/src && printf 'def main(): print("it works")\n' > pkg/src/thing.py
python3 - <<'END'
import zipfile
info = "thing-1.dist-info"
files = {
    "thing.py": open("pkg/src/thing.py").read(),
    f"{info}/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{info}/entry_points.txt": "[console_scripts]\nthing = thing:main\n",
}
with zipfile.ZipFile("thing-1-py3-none-any.whl", "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
    wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
END
"""


def test_pip_installs_as_root_and_into_a_virtual_environment(service: Service) -> None:
    command = f"""{PYTHON_PACKAGE}
    pip install --no-index --quiet ./thing-1-py3-none-any.whl && thing
    python3 -m venv venv && venv/bin/pip install --no-index --quiet ./thing-1-py3-none-any.whl && venv/bin/thing
    """
    assert succeeds(service, command).endswith("it works\nit works\n")


def test_root_changes_owners_and_users(service: Service) -> None:
    command = """
    touch file && chown games:daemon file && stat -c '%U %G' file
    su games -s /bin/sh -c 'id -un'
    chmod 0 file && cat file && echo read
    setpriv --reuid daemon --regid daemon --clear-groups id -un
    sleep 60 & kill $! && echo killed
    """
    lines = succeeds(service, command).splitlines()
    assert lines == ["games daemon", "games", "read", "daemon", "killed"]


def test_git_and_a_compiler_work(service: Service) -> None:
    command = r"""
    git init -q repo && cd repo && git config user.email x@x && git config user.name x
    printf 'all: thing\nthing: thing.c\n\tcc -o thing thing.c\n' > Makefile
    printf '#include <stdio.h>\nint main(void) { puts("it works"); return 0; }\n' > thing.c
    git add . && git commit -q -m one && git clone -q . ../clone && cd ../clone && make -s && ./thing
    """
    assert succeeds(service, command) == "it works\n"


def test_a_user_of_the_image_may_be_asked_for(service: Service) -> None:
    assert succeeds(service, "id -un; id -u", user="games").split() == ["games", "5"]
    assert succeeds(service, "id -u; id -g", user="4321:8765").split() == ["4321", "8765"]


def test_what_one_run_writes_the_next_does_not_see(service: Service) -> None:
    succeeds(service, "echo x | tee /workspace/x /etc/x /tmp/x /dev/shm/x; apt-get clean")
    assert succeeds(service, "ls /workspace /etc/x /tmp /dev/shm 2>/dev/null || true").split() == [
        "/dev/shm:",
        "/tmp:",
        "/workspace:",
    ]


@pytest.fixture(scope="module")
def setuid_image(default_image: str, shared_service: Service) -> Generator[str]:
    """An image whose own user is nobody, with a program that belongs to root and is setuid."""
    docker = shared_service.docker
    command = "cp /usr/bin/id /usr/local/bin/rooted && chmod 4755 /usr/local/bin/rooted"
    made = docker("create", "--network", "none", "--label", "chaser.test=image", DEFAULT, "sh", "-c", command)
    try:
        docker("start", "--attach", made)
        docker("commit", "--change", "USER 65534", made, SETUID)
        yield SETUID
    finally:
        docker("rm", made)
        docker.run("rmi", "--force", SETUID)


def test_a_setuid_program_works_with_sudo_isolation_and_nowhere_else(
    service: Service, setuid_image: str
) -> None:
    effective = {
        (profile, isolation): succeeds(
            service, "id -u; rooted -u", profile=profile, isolation=isolation, image=setuid_image
        ).split()
        for profile, isolation in [
            ("rooted", "sudo"),
            ("rooted", "standard"),
            ("rooted", "strict"),
            ("default", "standard"),
        ]
    }
    assert effective == {
        ("rooted", "sudo"): ["65534", "0"],
        ("rooted", "standard"): ["65534", "65534"],
        ("rooted", "strict"): ["65534", "65534"],
        ("default", "standard"): ["65534", "65534"],
    }
