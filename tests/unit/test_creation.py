"""Our options as Docker's create request."""

from chaser.sandboxes.engines.creation import creation
from chaser.sandboxes.spec import Isolation
from tests.unit.test_hardening import isolated


def test_every_sandbox_is_closed_where_docker_is_open() -> None:
    for isolation in Isolation:
        request = creation(isolated(isolation))
        host = request["HostConfig"]

        assert host["CapDrop"] == ["ALL"]
        assert host["Privileged"] is False
        assert host["Memory"] == host["MemorySwap"]
        assert host["IpcMode"] == "private"
        assert host["CgroupnsMode"] == "private"
        assert host["RestartPolicy"] == {"Name": "no"}
        assert host["Mounts"] == []
        assert {"Binds", "Devices", "PidMode", "UsernsMode", "VolumesFrom"}.isdisjoint(host)
        assert {"Name": "core", "Soft": 0, "Hard": 0} in host["Ulimits"]


def test_the_images_own_start_does_not_run() -> None:
    request = creation(isolated(Isolation.STANDARD))

    assert request["Entrypoint"][0] == "/bin/sh"
    assert request["Cmd"] == []
    assert request["Healthcheck"] == {"Test": ["NONE"]}


def test_input_ends_with_the_one_who_sends_it() -> None:
    request = creation(isolated(Isolation.STANDARD))

    assert (request["OpenStdin"], request["StdinOnce"], request["Tty"]) == (True, True, False)


def test_none_is_the_images_own() -> None:
    request = creation(isolated(Isolation.STANDARD))

    assert (request["User"], request["WorkingDir"], request["Env"]) == ("", "", [])
    assert request["HostConfig"]["Runtime"] == ""


def test_the_log_is_bounded_and_whole() -> None:
    config = creation(isolated(Isolation.STRICT))["HostConfig"]["LogConfig"]

    assert config == {"Type": "local", "Config": {"max-size": "250", "max-file": "5", "compress": "false"}}


def test_privileges_are_gained_only_where_that_is_asked_for() -> None:
    hosts = {each: creation(isolated(each))["HostConfig"] for each in Isolation}

    assert hosts[Isolation.STRICT]["SecurityOpt"] == ["no-new-privileges"]
    assert hosts[Isolation.STRICT]["ReadonlyRootfs"] is True
    assert hosts[Isolation.STANDARD]["SecurityOpt"] == ["no-new-privileges"]
    assert hosts[Isolation.SUDO]["SecurityOpt"] == []
