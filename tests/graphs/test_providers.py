from __future__ import annotations

import importlib.util

import pytest
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from graphs import errors
from graphs.providers import PROVIDERS, chat_model, provider, require_tool_calling
from graphs.scripted import ScriptedModel

from .openai_server import OpenAIServer, Reply

KEY = "sk-a-key-that-nobody-may-see"


@pytest.fixture
def no_env(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {p.key_env for p in PROVIDERS.values()} | {p.base_url_env for p in PROVIDERS.values()} - {""}:
        monkeypatch.delenv(name, raising=False)


def sent_key(model: BaseChatModel, server: OpenAIServer) -> str:
    server.replies(Reply("fine"))
    model.invoke("hello")
    return server.requests[-1].headers["authorization"].removeprefix("Bearer ")


def test_an_unknown_provider_lists_the_known_ones():
    with pytest.raises(errors.UnknownProvider, match='"watson".*openai, openai-compatible, ollama.*scripted'):
        provider("watson")


def test_a_misspelled_provider_gets_a_hint():
    with pytest.raises(errors.UnknownProvider, match='Did you mean "anthropic"'):
        provider("antropic")


def test_a_provider_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if "anthropic" in name else there(name, *rest)
    )
    with pytest.raises(errors.ProviderNotInstalled, match=r'pip install "sandloop\[anthropic\]"'):
        chat_model("anthropic", "claude-sonnet-4-5", api_key=KEY)


@pytest.mark.parametrize(
    "id_", [p.id for p in PROVIDERS.values() if p.key_env and p.is_installed and not p.needs_base_url]
)
def test_a_missing_key_names_its_variable(id_):
    with pytest.raises(errors.ModelKeyMissing, match=PROVIDERS[id_].key_env):
        chat_model(id_, "some-model", env={})


@pytest.mark.parametrize("id_", [p.id for p in PROVIDERS.values() if p.langchain_id and p.is_installed])
def test_every_installed_provider_makes_a_model_that_can_stream_and_call_tools(id_, no_env):
    model = chat_model(id_, "some-model", api_key=KEY, base_url="http://localhost:9/v1", env={})
    assert type(model).bind_tools is not BaseChatModel.bind_tools
    assert KEY not in repr(model)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model_id": " "}, "model_id"),
        ({"model_id": "gpt\n4"}, "model_id"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1000}, "max_retries"),
        ({"base_url": "localhost:8000"}, "base_url"),
        ({"base_url": "file:///etc/passwd"}, "base_url"),
        ({"base_url": "http://:80/v1"}, "base_url"),
        ({"base_url": "http://host:port/v1"}, "base_url"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings, words):
    with pytest.raises(errors.InvalidModelSettings, match=words):
        chat_model("openai", **{"model_id": "gpt-4o", "api_key": KEY, **settings})


def test_a_refused_address_is_not_repeated_for_it_may_hold_a_password():
    with pytest.raises(errors.InvalidModelSettings) as refused:
        chat_model("openai", "gpt-4o", base_url="ftp://me:secret@host/v1", env={})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("key", ["sk-with\nline", "sk-käse", " sk-space"])
def test_a_malformed_key_is_refused_without_repeating_it(key):
    with pytest.raises(errors.InvalidModelSettings) as refused:
        chat_model("openai", "gpt-4o", api_key=key)
    assert key not in str(refused.value)


def test_a_compatible_server_needs_an_address():
    with pytest.raises(errors.InvalidModelSettings, match="OPENAI_BASE_URL"):
        chat_model("openai-compatible", "llama", env={})


@pytest.mark.parametrize("id_", ["openai", "openai-compatible"])
def test_key_and_address_come_from_the_environment_together(id_):
    with OpenAIServer() as server:
        model = chat_model(id_, "some-model", env={"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url})
        assert sent_key(model, server) == KEY


def test_an_address_of_the_environment_alone_needs_no_key():
    with OpenAIServer() as server:
        assert KEY not in sent_key(chat_model("openai", "some-model", env={"OPENAI_BASE_URL": server.url}), server)


@pytest.mark.parametrize("id_", ["openai", "openai-compatible"])
def test_whoever_names_an_address_does_not_get_the_key_of_the_environment(id_, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OpenAIServer() as server:
        assert KEY not in sent_key(chat_model(id_, "some-model", base_url=server.url), server)


def test_a_key_given_with_an_address_is_sent_to_it():
    with OpenAIServer() as server:
        model = chat_model("vllm", "some-model", base_url=server.url, api_key=SecretStr(KEY), env={})
        assert sent_key(model, server) == KEY


@pytest.mark.parametrize("id_", ["ollama", "vllm", "lmstudio", "llamacpp"])
def test_local_servers_have_a_default_address_and_need_no_key(id_):
    assert chat_model(id_, "some-model", env={}).openai_api_base == PROVIDERS[id_].base_url  # type: ignore[attr-defined]


def test_the_scripted_model_needs_nothing():
    assert isinstance(chat_model("scripted", "demo", env={}), ScriptedModel)


def test_a_model_that_is_known_to_call_no_tools_is_refused():
    model = chat_model("openai", "gpt-4o", api_key=KEY)
    model.profile = {"tool_calling": False}
    with pytest.raises(errors.ToolCallingUnsupported, match='"gpt-4o".*another model_id'):
        require_tool_calling(model, "gpt-4o")


@pytest.mark.parametrize("model_id", ["gpt-4o", "gpt-4", "gpt-3.5-turbo", "a-model-nobody-knows"])
def test_a_model_that_calls_tools_or_that_nobody_knows_is_not_refused(model_id):
    require_tool_calling(chat_model("openai", model_id, api_key=KEY), model_id)
