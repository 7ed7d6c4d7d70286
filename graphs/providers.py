"""Model providers as data, and the one function that makes a chat model of a provider's and a model's name."""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from .errors import (
    InvalidModelSettings,
    ModelKeyMissing,
    ProviderNotInstalled,
    ToolCallingUnsupported,
    UnknownProvider,
)

if TYPE_CHECKING:
    from .scenarios import Script

DEFAULT_TIMEOUT_S: Final = 120.0
DEFAULT_MAX_RETRIES: Final = 2
_MAX_RETRIES = 10
_NO_KEY = "not-needed"  # servers that need none ignore it; the SDK refuses to go without


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Where a kind of model comes from.

    Attributes:
        id: what a request's `provider_id` says.
        title: its name for people.
        langchain_id: its name for `init_chat_model`; "" for the scripted model.
        module: what must be importable.
        install: what to give `pip install` when it is not.
        key_env: the variable that holds its key; "" when it works without one.
        base_url: its address, where that is not the SDK's own default.
        base_url_env: the variable that overrides the address.
        needs_base_url: True when there is no default address.
    """

    id: str
    title: str
    langchain_id: str = "openai"
    module: str = "langchain_openai"
    install: str = "sandloop"
    key_env: str = ""
    base_url: str | None = None
    base_url_env: str = ""
    needs_base_url: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether the provider's package is there."""
        return importlib.util.find_spec(self.module) is not None


_OPENAI = Provider(id="openai", title="OpenAI", key_env="OPENAI_API_KEY", base_url_env="OPENAI_BASE_URL")
_LANGCHAIN = (  # id, title, its name in LangChain, its module, what installs it, the variable of its key
    ("anthropic", "Anthropic", "anthropic", "langchain_anthropic", "sandloop[anthropic]", "ANTHROPIC_API_KEY"),
    ("google", "Google", "google_genai", "langchain_google_genai", "langchain-google-genai", "GOOGLE_API_KEY"),
    ("groq", "Groq", "groq", "langchain_groq", "langchain-groq", "GROQ_API_KEY"),
    ("mistral", "Mistral", "mistralai", "langchain_mistralai", "langchain-mistralai", "MISTRAL_API_KEY"),
    ("deepseek", "DeepSeek", "deepseek", "langchain_deepseek", "langchain-deepseek", "DEEPSEEK_API_KEY"),
    ("xai", "xAI", "xai", "langchain_xai", "langchain-xai", "XAI_API_KEY"),
    ("openrouter", "OpenRouter", "openrouter", "langchain_openrouter", "langchain-openrouter", "OPENROUTER_API_KEY"),
)
_SERVERS = (  # servers that speak OpenAI's protocol, on this machine unless base_url says otherwise
    ("ollama", "Ollama", "http://localhost:11434/v1"),
    ("vllm", "vLLM", "http://localhost:8000/v1"),
    ("lmstudio", "LM Studio", "http://localhost:1234/v1"),
    ("llamacpp", "llama.cpp", "http://localhost:8080/v1"),
)

PROVIDERS: Final[Mapping[str, Provider]] = {
    made.id: made
    for made in (
        _OPENAI,
        replace(_OPENAI, id="openai-compatible", title="a server that speaks OpenAI's protocol", needs_base_url=True),
        *(Provider(id=id_, title=title, base_url=address) for id_, title, address in _SERVERS),
        *(
            Provider(id=id_, title=title, langchain_id=name, module=module, install=install, key_env=key_env)
            for id_, title, name, module, install, key_env in _LANGCHAIN
        ),
        Provider(id="scripted", title="prepared replies, no model", langchain_id="", module="graphs.scripted"),
    )
}

# Their profile in LangChain's data says that they cannot call tools. They can.
_CALL_TOOLS_ALL_THE_SAME = frozenset({"gpt-3.5-turbo"})


def provider(provider_id: str) -> Provider:
    """The provider of this name.

    Raises:
        UnknownProvider: lists the known ones.
    """
    if found := PROVIDERS.get(provider_id):
        return found
    close = difflib.get_close_matches(provider_id, PROVIDERS, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    raise UnknownProvider(
        f'There is no model provider "{provider_id}".{hint} Known: {", ".join(PROVIDERS)}. '
        'A server that speaks OpenAI\'s protocol is "openai-compatible" with its base_url.'
    )


def chat_model(
    provider_id: str,
    model_id: str,
    *,
    base_url: str | None = None,
    api_key: SecretStr | str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    max_retries: int = DEFAULT_MAX_RETRIES,
    temperature: float | None = None,
    max_output_tokens: int | None = None,
    responses_api: bool | None = None,
    script: Script | None = None,
    env: Mapping[str, str] = os.environ,
) -> BaseChatModel:
    """Make a chat model. Nothing is asked of the provider yet.

    Blocks while packages are imported and certificates read: in async code, call it by `asyncio.to_thread`. Models of
    one address share their connections, which belong to the event loop that opened them: call the models of a process
    from one loop, or a later one finds "Event loop is closed".

    Args:
        provider_id: a key of `PROVIDERS`.
        model_id: the model's name at that provider; for `scripted` the name of a script.
        base_url: another address of the provider's API.
        api_key: the provider's key; by default from the provider's variable, which an address given as `base_url`
            does not get: whoever may name an address must not be able to collect the key.
        timeout_s: seconds without a byte from the provider after which a call is given up. A call is tried again.
        max_retries: how often, with the SDK's own waits (which follow `Retry-After` up to two minutes).
        temperature: as the provider takes it; None is its default.
        max_output_tokens: the longest reply; None is the provider's default.
        responses_api: OpenAI's protocols only: True for the responses API, False for chat completions; None lets
            LangChain choose by the model for OpenAI, and is chat completions elsewhere.
        script: the script of the scripted model, instead of the one that `model_id` names.
        env: variables of keys and addresses.

    Raises:
        UnknownProvider, ProviderNotInstalled, ModelKeyMissing, InvalidModelSettings, ScriptInvalid: say what to do.
    """
    chosen = provider(provider_id)
    _check_settings(chosen, model_id, timeout_s, max_retries)
    if not chosen.langchain_id:
        from .scripted import ScriptedModel

        return ScriptedModel(script=script) if script else ScriptedModel.named(model_id)
    if not chosen.is_installed:
        raise ProviderNotInstalled(
            f'The provider "{chosen.id}" needs a package that is not installed: pip install "{chosen.install}"'
        )
    address = _address(chosen, base_url, env)
    options: dict[str, Any] = {
        "model": model_id,
        "api_key": _key(chosen, api_key, env, is_own_address=base_url is None, address=address),
        "timeout": timeout_s,
        "max_retries": max_retries,
        "base_url": address,
        "temperature": temperature,
        "max_tokens": max_output_tokens,
    }
    options = {name: value for name, value in options.items() if value is not None}
    if chosen.langchain_id == "openai":
        return _openai(chosen, options, timeout_s, responses_api)
    from langchain.chat_models import init_chat_model

    model: BaseChatModel = init_chat_model(**options, model_provider=chosen.langchain_id)
    return model


def require_tool_calling(model: BaseChatModel, model_id: str) -> None:
    """Refuse a model that is known to call no tools.

    What is not known is not refused: a provider that does not take the tools says so, and `provider_failure` makes the
    same error of it.

    Raises:
        ToolCallingUnsupported: the model's profile says that it cannot.
    """
    profile = model.profile or {}
    if profile.get("tool_calling") is False and model_id not in _CALL_TOOLS_ALL_THE_SAME:
        raise ToolCallingUnsupported(
            f'The model "{model_id}" cannot call tools, which this agent needs: choose another model_id, '
            'or agent_type "chat".'
        )


def _openai(chosen: Provider, options: dict[str, Any], timeout_s: float, responses_api: bool | None) -> BaseChatModel:
    from .strict_openai import StrictChatOpenAI

    if responses_api is None and (chosen.id != "openai" or "base_url" in options):
        responses_api = False  # servers that speak OpenAI's protocol speak this half of it
    return StrictChatOpenAI(
        **options,
        use_responses_api=responses_api,
        stream_usage=True,  # left alone, a stream from another address than OpenAI's has no usage
        stream_chunk_timeout=timeout_s,
    )


def _check_settings(chosen: Provider, model_id: str, timeout_s: float, max_retries: int) -> None:
    if not model_id.strip() or not model_id.isprintable():
        raise InvalidModelSettings(f'"model_id" must name a model of {chosen.title}, and is {model_id!r}.')
    if not timeout_s > 0:
        raise InvalidModelSettings(f'"timeout_s" must be more than 0 seconds, and is {timeout_s}.')
    if not 0 <= max_retries <= _MAX_RETRIES:
        raise InvalidModelSettings(f'"max_retries" must be from 0 to {_MAX_RETRIES}, and is {max_retries}.')


def _address(chosen: Provider, base_url: str | None, env: Mapping[str, str]) -> str | None:
    address = base_url or env.get(chosen.base_url_env) or chosen.base_url
    if address is None:
        if chosen.needs_base_url:
            raise InvalidModelSettings(
                f'The provider "{chosen.id}" needs an address: give "base_url", such as http://localhost:8000/v1, '
                f"or set {chosen.base_url_env}."
            )
        return None
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise InvalidModelSettings(
            '"base_url" must be an address such as http://localhost:8000/v1. The given one has no http:// or https://, '
            "no host, or a malformed port."
        )
    return address


def _key(
    chosen: Provider,
    given: SecretStr | str | None,
    env: Mapping[str, str],
    *,
    is_own_address: bool,
    address: str | None,
) -> SecretStr:
    key = given.get_secret_value() if isinstance(given, SecretStr) else given
    if not key and is_own_address:
        key = env.get(chosen.key_env)
    if key:
        if not key.isascii() or not key.isprintable() or key != key.strip():
            raise InvalidModelSettings(
                f'The API key of "{chosen.id}" has spaces, line ends or characters that no key has: copy it again.'
            )
        return SecretStr(key)
    if not chosen.key_env or address is not None:
        return SecretStr(_NO_KEY)
    raise ModelKeyMissing(
        f'The provider "{chosen.id}" needs an API key and there is none: set {chosen.key_env}. Without a key there is '
        'a model server of your own (provider_id "ollama", "vllm", "lmstudio", "llamacpp"), and provider_id "scripted".'
    )
