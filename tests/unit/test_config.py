"""Settings: where they come from, which one wins, and that every fault is told at once without a secret."""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from chaser.config import Settings, find_file
from chaser.config_values import Table
from chaser.errors import ConfigError
from chaser.profiles import LimitsTable, MaximaTable, ProfileTable
from chaser.runners.inbox import IntakeMode
from chaser.runners.policy import Policy
from chaser.runners.rules import Rule, Rules, Then
from chaser.sandboxes.registry import Registry
from chaser.sandboxes.spec import Isolation, Network
from chaser.secret import Secret

HOME: Mapping[str, str] = {"HOME": "/home/someone"}
ROOT = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Path:
    file = folder / "chaser.toml"
    file.write_text(text)
    return file


def faults(environ: Mapping[str, str], file: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Settings.load(environ, file)
    return list(caught.value.faults)


def test_no_setting_is_needed() -> None:
    settings = Settings.load(HOME, None)
    assert settings.data_dir == Path("/home/someone/.local/share/chaser")
    assert settings.local_url == "http://127.0.0.1:8080"
    assert settings.database == Secret("sqlite:////home/someone/.local/share/chaser/chaser.db")
    assert settings.deadlines.timeout == timedelta(minutes=10)
    assert list(settings.profiles) == ["default"]


def test_the_data_directory_follows_the_desktop_standard() -> None:
    assert Settings.load({**HOME, "XDG_DATA_HOME": "/data"}, None).data_dir == Path("/data/chaser")
    relative = Settings.load({**HOME, "XDG_DATA_HOME": "data"}, None)
    assert relative.data_dir == Path("/home/someone/.local/share/chaser"), "a relative one must be ignored"


def test_the_environment_overrides_the_file_key_by_key(tmp_path: Path) -> None:
    file = written(tmp_path, 'port = 1000\nhost = "::"\n[limits]\nmax_running = 3\nmax_queued = 5\n')
    settings = Settings.load({**HOME, "CHASER_PORT": "2000", "CHASER_LIMITS__MAX_QUEUED": "7"}, file)
    assert (settings.port, settings.host) == (2000, "::")
    assert (settings.limits.max_running, settings.limits.max_queued) == (3, 7)
    assert settings.local_url == "http://[::1]:2000"


def test_every_fault_is_told_at_once_by_the_name_that_was_written(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'port = "x"\nnope = 1\n[limits]\nmax_running = 0\nbody_bytes = "4x"\n[deadlines]\nstart_ms = -1\n'
        '[github]\nwebhook_secret = ""\n[profiles.default.limits]\nmemory = "lots"\n[profiles.Big]\n'
        '[registries."r"]\nusername = "u"\n',
    )
    environ = {
        **HOME,
        "CHASER_FOO": "1",
        "CHASER_HOST": "",
        "CHASER_GITHUB__PRIVATE_KEY_FILE": "/nowhere/key.pem",
        "CHASER_DATABASE_URL": "mysql://user:hunter2@host/db",
    }
    told = faults(environ, file)
    assert {line.split(":")[0] for line in told} == {
        "port in chaser.toml",
        "nope in chaser.toml",
        "limits.max_running in chaser.toml",
        "limits.body_bytes in chaser.toml",
        "deadlines.start_ms in chaser.toml",
        "github.webhook_secret in chaser.toml",
        "profiles.default.limits.memory in chaser.toml",
        "profiles.Big in chaser.toml",
        "registries.r.username in chaser.toml",
        "CHASER_FOO",
        "CHASER_HOST",
        "CHASER_GITHUB__PRIVATE_KEY_FILE",
        "CHASER_DATABASE_URL",
    }
    assert "hunter2" not in "\n".join(told)


def test_a_variable_that_is_no_setting_is_a_fault_except_the_clients_own() -> None:
    clients = {"CHASER_API_URL": "http://x", "CHASER_API_KEY": "sk_x", "CHASER_CONFIG": "x.toml"}
    Settings.load({**HOME, **clients, "PATH": "/bin"}, None)
    told = faults({**HOME, "CHASER_WEBHOOK_PORT": "1", "CHASER_GITHUB__INLET": "both"})
    assert sorted(line.split(":")[0] for line in told) == ["CHASER_GITHUB__INLET", "CHASER_WEBHOOK_PORT"]


@pytest.mark.parametrize("text", ["port = ", "\x00"])
def test_a_file_that_is_not_toml_is_one_more_fault(tmp_path: Path, text: str) -> None:
    told = faults({**HOME, "CHASER_PORT": "x"}, written(tmp_path, text))
    assert len(told) == 2
    assert "is not TOML" in told[0]


def test_a_file_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    assert faults(HOME, tmp_path / "none.toml") == [
        f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory"
    ]


def test_a_value_where_a_table_belongs_is_a_fault() -> None:
    assert (
        faults({**HOME, "CHASER_GITHUB": "x", "CHASER_GITHUB__APP_ID": "1"})[-1]
        == "CHASER_GITHUB: must be a table"
    )


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("-----BEGIN KEY-----\nabc\n-----END KEY-----\n")
    environ = {**HOME, "CHASER_GITHUB__APP_ID": "7", "CHASER_GITHUB__PRIVATE_KEY_FILE": str(tmp_path / "key")}
    github = Settings.load(environ, None).github
    assert github.app_id == "7"
    assert github.private_key == Secret("-----BEGIN KEY-----\nabc\n-----END KEY-----")


def test_the_environments_spelling_of_a_secret_overrides_the_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    file = written(tmp_path, '[github]\nwebhook_secret = "from toml"\n')
    environ = {**HOME, "CHASER_GITHUB__WEBHOOK_SECRET_FILE": str(tmp_path / "secret")}
    assert Settings.load(environ, file).github.webhook_secret == Secret("from a file")


def test_a_secret_given_twice_in_one_place_is_a_fault() -> None:
    environ = {
        **HOME,
        "CHASER_GITHUB__WEBHOOK_SECRET": "x",
        "CHASER_GITHUB__WEBHOOK_SECRET_FILE": "/dev/null",
    }
    assert faults(environ) == [
        "CHASER_GITHUB__WEBHOOK_SECRET_FILE: CHASER_GITHUB__WEBHOOK_SECRET says the same; keep one of the two"
    ]


@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_an_empty_secret_is_a_fault(value: str) -> None:
    assert "is empty" in faults({**HOME, "CHASER_GITHUB__WEBHOOK_SECRET": value})[0]


def test_deliveries_come_in_as_the_settings_say() -> None:
    given = {**HOME, "CHASER_GITHUB__INTAKE": "deliveries", "CHASER_GITHUB__POLL_MS": "1000"}
    github = Settings.load(given, None).github
    assert (github.intake, github.poll) == (IntakeMode.DELIVERIES, timedelta(seconds=1))
    assert "intake" in faults({**HOME, "CHASER_GITHUB__INTAKE": "pigeons"})[0].lower()


def test_a_webhook_secret_alone_is_a_valid_setting() -> None:
    assert Settings.load({**HOME, "CHASER_GITHUB__WEBHOOK_SECRET": "s"}, None).github.webhook_secrets == (
        Secret("s"),
    )


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("APP_ID", "github.private_key"),
        ("PRIVATE_KEY", "github.app_id"),
        ("WEBHOOK_SECRET_PREVIOUS", "github.webhook_secret"),
    ],
)
def test_half_of_a_pair_is_a_fault(name: str, needed: str) -> None:
    assert faults({**HOME, f"CHASER_GITHUB__{name}": "1"}) == [
        f"CHASER_GITHUB__{name}: needs {needed} as well"
    ]


def test_both_webhook_secrets_hold_while_rotating() -> None:
    environ = {
        **HOME,
        "CHASER_GITHUB__WEBHOOK_SECRET": "new",
        "CHASER_GITHUB__WEBHOOK_SECRET_PREVIOUS": "old",
    }
    assert Settings.load(environ, None).github.webhook_secrets == (Secret("new"), Secret("old"))


def test_secret_keys_are_a_list_one_a_line_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first\nsecond\n")
    assert Settings.load({**HOME, "CHASER_SECRET_KEYS": "a,b"}, None).secret_keys == (
        Secret("a"),
        Secret("b"),
    )
    from_file = Settings.load({**HOME, "CHASER_SECRET_KEYS_FILE": str(tmp_path / "keys")}, None)
    assert from_file.secret_keys == (Secret("first"), Secret("second"))


def test_no_secret_shows(tmp_path: Path) -> None:
    environ = {
        **HOME,
        "CHASER_SECRET_KEYS": "hunter2",
        "CHASER_GITHUB__WEBHOOK_SECRET": "hunter2",
        "CHASER_DATABASE_URL": "postgres://u:hunter2@h/d",
    }
    file = written(tmp_path, '[registries."ghcr.io"]\nusername = "u"\npassword = "hunter2"\n')
    settings = Settings.load(environ, file)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(dict(settings))
    assert "hunter2" not in str(settings.shown)


def test_settings_cannot_be_changed() -> None:
    settings = Settings.load(HOME, None)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_profiles_inherit_from_default_what_they_do_not_say(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[profiles.default]\nimage = "debian:12"\nisolation = "strict"\n[profiles.default.limits]\nmemory = "1g"\npids = 100\n'
        '[profiles.big]\nnetwork = "none"\n[profiles.big.limits]\nmemory = "2g"\n',
    )
    profiles = Settings.load({**HOME, "CHASER_PROFILES__BIG__RUNTIME": "runsc"}, file).profiles
    big = profiles["big"]
    assert (big.image, big.isolation, big.network) == ("debian:12", Isolation.STRICT, Network.NONE)
    assert (big.limits.memory_bytes, big.limits.pids, big.runtime) == (2 << 30, 100, "runsc")
    assert profiles["default"].limits.memory_bytes == 1 << 30


def test_a_profile_without_default_inherits_what_is_shipped(tmp_path: Path) -> None:
    profiles = Settings.load(HOME, written(tmp_path, '[profiles.small.limits]\nmemory = "64m"\n')).profiles
    assert sorted(profiles) == ["default", "small"]
    assert profiles["small"].image == "chaser-default:latest"


def test_a_fault_of_default_is_told_once_and_where_it_was_written(tmp_path: Path) -> None:
    told = faults(HOME, written(tmp_path, "[profiles.default]\nregistries = 0\n[profiles.a]\n[profiles.b]\n"))
    assert told == ["profiles.default.registries in chaser.toml: must be a valid tuple"]


def test_maxima_below_the_limits_are_a_fault(tmp_path: Path) -> None:
    file = written(tmp_path, '[profiles.default.maxima]\nmemory = "1m"\n')
    assert faults(HOME, file) == [
        "profiles.default.maxima in chaser.toml: is below limits in memory; raise it, or lower limits"
    ]


def test_limits_above_inherited_maxima_are_a_fault_of_the_profile_that_has_them(tmp_path: Path) -> None:
    file = written(tmp_path, "[profiles.default.maxima]\npids = 5000\n[profiles.b.limits]\npids = 5001\n")
    assert [line.split(":")[0] for line in faults(HOME, file)] == ["profiles.b in chaser.toml (maxima)"]


@pytest.mark.parametrize("name", ["Big", "a--b", "4cpu", "large-16gb", "run7", "-a", "a" * 41, "a_b"])
def test_a_profiles_name_must_fit_into_a_label(tmp_path: Path, name: str) -> None:
    assert "is no name for a profile" in faults(HOME, written(tmp_path, f"[profiles.{name}]\n"))[0]


def test_a_profile_says_which_labels_its_runners_have_and_for_whom_they_are(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[profiles.default]\nrepositories = ["octo-org/*"]\n'
        '[profiles.cuda]\nrunner_labels = ["GPU", "cuda-12.4"]\n[profiles.requests]\nrepositories = []\n',
    )
    profiles = Settings.load(HOME, file).profiles
    assert profiles["default"].runner_labels == frozenset()
    assert profiles["cuda"].runner_labels == {"gpu", "cuda-12.4"}
    assert profiles["cuda"].repositories == ("octo-org/*",)
    assert profiles["requests"].repositories == ()
    assert Settings.load(HOME, None).profiles["default"].repositories == ("*/*",)


@pytest.mark.parametrize(
    "pattern", ["octo-org", "*", "octo-org/", "/app", "a/b/c", "https://github.com/a/b", ""]
)
@pytest.mark.parametrize("key", ["profiles.default.repositories", "github.public_repositories"])
def test_a_pattern_of_repositories_has_an_owner_and_a_name(tmp_path: Path, key: str, pattern: str) -> None:
    told = faults(HOME, written(tmp_path, f'{key} = ["octo-org/*", "{pattern}"]\n'))
    assert told == [f'{key} in chaser.toml: must be patterns of the form "owner/name", such as "octo-org/*"']


@pytest.mark.parametrize("label", ["", "a b", "a,b", "größe", "x" * 257])
def test_a_runners_label_is_one_that_github_takes(tmp_path: Path, label: str) -> None:
    told = faults(HOME, written(tmp_path, f'[profiles.default]\nrunner_labels = ["gpu", "{label}"]\n'))
    assert [line.split(": ")[0] for line in told] == ["profiles.default.runner_labels in chaser.toml"]


def test_a_runners_label_with_our_prefix_is_a_fault_beside_all_others(tmp_path: Path) -> None:
    """A job with it would have two labels of ours."""
    file = written(tmp_path, 'port = "x"\n[profiles.cuda]\nrunner_labels = ["Acme-gpu"]\n')
    told = faults({**HOME, "CHASER_GITHUB__LABEL_PREFIX": "acme"}, file)
    assert sorted(told)[1:] == [
        "profiles in chaser.toml: runner_labels may not begin with github.label_prefix (cuda)"
    ]
    assert len(told) == 2
    assert faults({**HOME, "CHASER_PROFILES__DEFAULT__RUNNER_LABELS": "gpu,chasers"}) == [
        "profiles: runner_labels may not begin with github.label_prefix (default)"
    ]


@pytest.mark.parametrize("prefix", ["self", "linux", "x", "arm64"])
def test_the_prefix_tells_our_label_from_githubs_own(prefix: str) -> None:
    told = faults({**HOME, "CHASER_GITHUB__LABEL_PREFIX": prefix})
    assert "a label of GitHub's own" in told[0]


def test_public_repositories_are_a_list_of_patterns() -> None:
    assert Settings.load(HOME, None).github.public_repositories == ()
    environ = {**HOME, "CHASER_GITHUB__PUBLIC_REPOSITORIES": "octo-org/site,acme/*"}
    assert Settings.load(environ, None).github.public_repositories == ("octo-org/site", "acme/*")


def test_an_allow_list_network_is_not_served_yet() -> None:
    told = faults({**HOME, "CHASER_PROFILES__DEFAULT__NETWORK": "allowlist"})
    assert "not served yet" in told[0]


RULES = """
[github]
forks = "refuse"
[[github.rules]]
then = "run"
profile = "strangers"
forks = true
actors = ["dependabot[bot]", "octo*"]
[[github.rules]]
then = "hold"
repositories = ["octo-org/*"]
"""


def test_rules_are_the_cores_own_values_in_their_order(tmp_path: Path) -> None:
    file = written(tmp_path, RULES + "[profiles.strangers]\nregistries = []\n")
    policy = Settings.load(HOME, file).github.policy
    first = Rule(Then.RUN, "strangers", forks=True, actors=("dependabot[bot]", "octo*"))
    assert policy.rules == Rules((first, Rule(Then.HOLD, repositories=("octo-org/*",))), Then.REFUSE)
    assert Settings.load(HOME, None).github.policy == Policy()


def test_rules_are_json_in_the_environment() -> None:
    environ = {**HOME, "CHASER_GITHUB__RULES": '[{"then": "refuse", "forks": true}]'}
    assert Settings.load(environ, None).github.policy.rules.rules == (Rule(Then.REFUSE, forks=True),)
    (told,) = faults({**HOME, "CHASER_GITHUB__RULES": "forks=true"})
    assert "must be a JSON list" in told


@pytest.mark.parametrize(
    ("profiles", "fault"),
    [("", "names a profile that is not here (strangers)"), ("[profiles.strangers]\n", "registries = []")],
)
def test_a_rule_names_a_profile_without_credentials(tmp_path: Path, profiles: str, fault: str) -> None:
    told = faults(HOME, written(tmp_path, RULES + profiles))
    assert len(told) == 1
    assert fault in told[0]


def test_a_rule_that_runs_nothing_names_no_profile(tmp_path: Path) -> None:
    told = faults(
        HOME, written(tmp_path, '[[github.rules]]\nthen = "hold"\nprofile = "default"\nevent = 1\n')
    )
    assert len(told) == 2
    assert all(line.startswith("github.rules") for line in told)


def test_registries_are_the_cores_own_values(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p\n")
    file = written(
        tmp_path,
        f'[registries."ghcr.io"]\nusername = "u"\npassword_file = "{tmp_path / "password"}"\n'
        '[registries."docker.io"]\nmirror = "mirror.example:5000/hub"\n',
    )
    registries = Settings.load(HOME, file).registries
    assert registries["ghcr.io"] == Registry("ghcr.io", "u", Secret("p"))
    assert registries["docker.io"] == Registry("docker.io", mirror="mirror.example:5000/hub")


def test_lists_are_written_with_commas_in_the_environment() -> None:
    settings = Settings.load(
        {**HOME, "CHASER_TRUSTED_PROXIES": "10.0.0.1, 10.0.0.2", "CHASER_IMAGES__ALLOW": "a/*"}, None
    )
    assert settings.trusted_proxies == ("10.0.0.1", "10.0.0.2")
    assert settings.images.allow == ("a/*",)


def test_the_engine_is_where_docker_says_unless_told_otherwise() -> None:
    docker = {**HOME, "DOCKER_HOST": "unix:///run/other.sock"}
    assert Settings.load(docker, None).docker_host == "unix:///run/other.sock"
    assert Settings.load({**docker, "CHASER_DOCKER_HOST": "tcp://e:2376"}, None).docker_host == "tcp://e:2376"
    assert faults({**HOME, "DOCKER_HOST": "ssh://e"}) == ["DOCKER_HOST: must begin with unix:// or tcp://"]


def test_the_file_is_the_one_that_is_named_else_the_one_that_is_there(tmp_path: Path) -> None:
    assert find_file({}, tmp_path) is None
    file = written(tmp_path, "")
    assert find_file({}, tmp_path) == file
    assert find_file({"CHASER_CONFIG": "/etc/x.toml"}, tmp_path) == Path("/etc/x.toml")


def keys(model: type[BaseModel]) -> set[str]:
    """Every key that a table understands, as it is written."""
    return {field.alias or name for name, field in model.model_fields.items()}


def every_key() -> set[str]:
    tables = [table for table in Table.__subclasses__() if table.__module__.startswith("chaser.")]
    assert {LimitsTable, MaximaTable, ProfileTable} < set(tables)
    return set[str]().union(keys(Settings), *(keys(table) for table in tables))


@pytest.mark.parametrize("page", ["docs/configuration.md", "chaser.example.toml"])
def test_every_setting_is_written_about(page: str) -> None:
    text = (ROOT / page).read_text()
    assert [key for key in sorted(every_key()) if key not in text] == []


def test_the_example_says_what_the_defaults_are(tmp_path: Path) -> None:
    """Uncommented, the defaults of the example change nothing; what has none is commented twice."""
    lines = (ROOT / "chaser.example.toml").read_text().splitlines()
    text = "\n".join(line.removeprefix("#") for line in lines if not line.startswith(("# ", "##")))
    assert len(tomllib.loads(text)) > 5
    assert dict(Settings.load(HOME, written(tmp_path, text))) == dict(Settings.load(HOME, None))
