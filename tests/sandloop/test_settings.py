"""Settings: environment > .env > sandloop.toml > defaults, and errors that name the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandloop.settings import Setting, Settings, SettingsError, every_setting, load

EXAMPLE = """
[e2b]
api_key = "${E2B_API_KEY}"
timeout = 30000
stream = true
default_language = "javascript"
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "sandloop.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_anything_there_are_defaults(tmp_path: Path):
    assert load(environ={"HOME": str(tmp_path)}) == Settings()


def test_the_example_of_the_readme_is_understood():
    written(EXAMPLE)
    settings = load(environ={"E2B_API_KEY": "e2b_123"})
    assert settings.e2b.api_key.get_secret_value() == "e2b_123"
    assert (settings.e2b.timeout, settings.e2b.stream, settings.e2b.default_language) == (30_000, True, "javascript")
    assert settings.sandbox_settings.api_key == "e2b_123"


def test_a_variable_that_is_not_set_leaves_nothing():
    written(EXAMPLE)
    assert load(environ={}).sandbox_settings.embedded
    assert load(environ={"E2B_API_KEY": ""}).sandbox_settings.embedded


def test_the_environment_wins_over_the_env_file_and_that_over_the_file():
    written("[server]\nport = 1\nhost = 'localhost'\n[log]\nlevel = 'error'\n")
    written("SANDLOOP_SERVER_PORT=2\nSANDLOOP_LOG_LEVEL=warning\n", ".env")
    settings = load(environ={"SANDLOOP_SERVER_PORT": "3"}, overrides={"server": {"workers": 2}})
    assert (settings.server.port, settings.log.level, settings.server.host) == (3, "warning", "localhost")
    assert settings.server.workers == 2
    assert load(environ={}, overrides={"server": {"port": 4}}).server.port == 4


def test_the_file_is_the_named_one_else_that_of_the_folder_else_the_users(tmp_path: Path):
    users = written("[server]\nport = 1\n", "config/sandloop/sandloop.toml")
    environ = {"XDG_CONFIG_HOME": str(users.parents[1])}
    assert load(environ=environ).server.port == 1
    written("[server]\nport = 2\n")
    assert load(environ=environ).server.port == 2
    named = written("[server]\nport = 3\n", "other.toml")
    assert load(environ={**environ, "SANDLOOP_CONFIG": str(named)}).server.port == 3
    assert load(named, environ=environ).server.port == 3
    with pytest.raises(SettingsError, match=r"no file none\.toml"):
        load(Path("none.toml"), environ={})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1\n", r"server\.prot: there is no such setting; there are host, port"),
        ("[sever]\nport = 1\n", r"sever: there is no such setting; there are \[e2b\]"),
        ("port = 1\n", r"port: there is no such setting"),
        ("server = 1\n", r"server: "),
        ("[server]\nport = 70000\n", r"server\.port \(SANDLOOP_SERVER_PORT\): "),
        ("[policy]\nenableGPU = true\n", r"policy\.enableGPU: No sandbox has a GPU"),
        ("[policy]\nenableNetwrok = true\n", r"policy\.enableNetwrok: there is no such setting; there are name"),
        ("[limits]\nrequests = 'often'\n", r"limits\.requests .*: write it as '600/minute'"),
        ("[server]\ncors_origins = ['*']\n", r"server\.cors_origins .*'\*' is not an origin"),
        ("[server]\ntrusted_proxies = ['proxy']\n", r"server\.trusted_proxies .*'proxy' is neither"),
        ("[e2b]\ndefault_language = 'klingon'\n", r"e2b\.default_language .*'klingon' is not a language"),
        ("[e2b\n", r"sandloop\.toml: "),
    ],
)
def test_a_bad_setting_is_named_with_its_place(text: str, said: str):
    written(text)
    with pytest.raises(SettingsError, match=said):
        load(environ={})


def test_an_error_does_not_say_the_value():
    written("[e2b]\napi_key = 'e2b_canary'\ntimeout = 'e2b_canary'\n")
    with pytest.raises(SettingsError) as told:
        load(environ={})
    assert "canary" not in str(told.value)
    assert "canary" not in repr(load(Path(written("[e2b]\napi_key = 'e2b_canary'\n", "b.toml")), environ={}))


def test_lists_come_from_variables_too():
    settings = load(environ={"SANDLOOP_SERVER_ALLOWED_HOSTS": "a.example, b.example"})
    assert settings.server.allowed_hosts == ("a.example", "b.example")


def test_agents_get_the_same_settings(tmp_path: Path):
    written("[agent]\nmodel_call_limit = 7\n[database]\nurl = 'postgresql://u:p@h/d'\n")
    written("OPENAI_API_KEY=sk-x\n", ".env")
    agent = load(environ={}).agent_settings({"XDG_DATA_HOME": str(tmp_path)})
    assert (agent.model_call_limit, agent.database, agent.provider_id) == (7, "postgresql://u:p@h/d", "openai")
    kept = Settings().agent_settings({"XDG_DATA_HOME": str(tmp_path)})
    assert kept.database == str(tmp_path / "sandloop" / "sandloop.sqlite")


def test_the_documentation_has_every_setting_as_it_is():
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    table = [line for line in page.splitlines() if line.startswith("| `")]
    assert table == [documented(setting) for setting in every_setting()]


def documented(setting: Setting) -> str:
    return f"| `{setting.section}.{setting.key}` | `{setting.variable}` | {setting.shown} | {setting.description} |"
