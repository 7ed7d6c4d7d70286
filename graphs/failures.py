"""What a provider's error, or a useless reply of its model, means to the user: one of our errors, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from langchain_core import exceptions as langchain_errors
from langchain_core.messages import AIMessage

from .errors import (
    ContextTooLong,
    ModelAccessDenied,
    ModelFailure,
    ModelKeyRejected,
    ModelNotFound,
    ModelQuotaExhausted,
    ModelRateLimited,
    ModelRequestRejected,
    ModelTimeout,
    ModelUnavailable,
    ReplyEmpty,
    ReplyFiltered,
    ReplyTruncated,
    ReplyUnreadable,
    RequestRefused,
    ToolCallingUnsupported,
)

_MAX_DETAIL = 500

_SECRET_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_KEYS = re.compile(
    r"(?i:\bbearer\s+)\S+"  # an authorization header that is quoted back
    r"|\b(?:sk|pk|rk|gsk|xai|key|hf|pplx)[-_][\w*.-]{4,}"
    r"|\bAIza[\w-]{10,}"
    r"|(?<=//)[^/\s@]+@"  # the password of an address
    r"|(?i:(?<=[?&]key=)|(?<=[?&]api_key=)|(?<=[?&]api-key=))[^&\s\"']+"
)

# Of OpenAI, vLLM, llama.cpp, LM Studio, Ollama and Anthropic.
_TOO_LONG = re.compile(
    r"context_length_exceeded|context (?:length|window|size)|maximum context|prompt is too long|input is too long"
    r"|exceed_context_size|too many tokens|ContextWindowExceeded|Input tokens exceed",
    re.I,
)
_NO_TOOLS = re.compile(
    r"does not support (?:tool|function)|support tool use|tool[- ]?(?:calling|use|choice)\W+(?:is|are) not supported"
    r"|requires --enable-auto-tool-choice|tools param requires --jinja|tools? (?:is|are) not supported",
    re.I,
)
_NO_CREDIT = re.compile(r"insufficient_quota|exceeded your current quota|credit balance|billing", re.I)

_NO_ACCOUNT = "The account at {place} has no credit left."
_OF_STATUS: Final[Mapping[int, tuple[type[ModelFailure], str]]] = {
    401: (ModelKeyRejected, "{place} does not accept the API key: check it, or make a new one."),
    402: (ModelQuotaExhausted, _NO_ACCOUNT),
    403: (ModelAccessDenied, "The API key may not use {model} at {place}."),
    404: (
        ModelNotFound,
        "{place} does not know {model}, or is not the address of a model's API: check model_id and base_url.",
    ),
    408: (ModelTimeout, "{place} did not answer in time: try again."),
    429: (ModelQuotaExhausted, _NO_ACCOUNT),
    504: (ModelTimeout, "{place} did not answer in time: try again."),
}
_OF_CLASS: Final[Mapping[int, tuple[type[ModelFailure], str]]] = {
    0: (ReplyUnreadable, "{place} sent an answer that its provider's protocol does not have: check base_url."),
    4: (ModelRequestRejected, "{place} refuses the request (status {status})."),
    5: (ModelUnavailable, "{place} fails (status {status}): try again later."),
}

# Names of httpx's and the operating system's exceptions; every SDK has its own httpx.
_TIMEOUTS: Final = frozenset({"ReadTimeout", "ConnectTimeout", "WriteTimeout", "PoolTimeout"})
_NOT_REACHED: Final = frozenset({"ConnectError", "ConnectionRefusedError", "gaierror"})
_BROKEN: Final = frozenset({"ReadError", "WriteError", "RemoteProtocolError"})

_CUT: Final = frozenset({"length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"})
_HELD_BACK: Final = frozenset(
    {"content_filter", "refusal", "safety", "recitation", "blocklist", "prohibited_content", "spii"}
)


def provider_failure(error: Exception, *, model_id: str = "") -> ModelFailure | RequestRefused:
    """What went wrong when a model was called, for any exception of any provider's SDK.

    Raise the result `from None`: the text of the original may hold a key, and its traceback would show it. What the
    provider said is in `detail`, without secrets.

    Args:
        error: what calling the model raised.
        model_id: the model's name, for the message.

    Returns:
        A `ModelFailure`, or `ToolCallingUnsupported` when the provider says that the model takes no tools.
    """
    if isinstance(error, ModelFailure | RequestRefused):
        return error
    case = _Case(error, model_id)
    names = {type(cause).__name__ for cause in _chain(error)}
    if case.status is not None:
        return _refused(case)
    if isinstance(error, TimeoutError | langchain_errors.ModelTimeoutError) or names & _TIMEOUTS:
        return ModelTimeout(
            f"{case.place} did not answer in time: try again, or raise the model's timeout.", detail=case.detail
        )
    if names & _NOT_REACHED:
        return ModelUnavailable(
            f"Nothing answers at {case.place}: start the model server, or correct base_url or the network.",
            detail=case.detail,
        )
    if isinstance(error, ConnectionError | langchain_errors.ModelConnectionError) or names & _BROKEN:
        return ModelUnavailable(f"The connection to {case.place} broke off: try again.", detail=case.detail)
    if isinstance(error, langchain_errors.ContextOverflowError) or _TOO_LONG.search(case.words):
        return _too_long(case)
    if hasattr(error, "body"):  # an error that came as an event of a stream: the SDKs give it no status
        return ModelUnavailable(f"{case.place} failed in the middle of its reply.{case.said}", detail=case.detail)
    if isinstance(error, ValueError | TypeError | KeyError | AttributeError | IndexError):
        return ReplyUnreadable(
            f"{case.place} sent an answer that its provider's protocol does not have: check provider_id and base_url."
            f"{case.said}",
            detail=case.detail,
        )
    return ModelFailure(
        f"The call of {case.model} failed ({type(error).__name__}).{case.said}",
        detail=case.detail,
    )


def reply_failure(reply: AIMessage) -> ModelFailure | None:
    """What is wrong with a well-formed reply; None when an agent can go on with it.

    The calls of a truncated reply must not be run, even when they look complete. Calls with malformed arguments
    (`invalid_tool_calls`) are no failure: the model is told, and can correct them.
    """
    reason = _finish_reason(reply)
    if reason in _HELD_BACK or _refusal(reply):
        said = _redact(_refusal(reply), ())
        return ReplyFiltered(
            "The model refused to answer, or its provider held the reply back: ask in another way."
            + (f" It says: {said}" if said else ""),
            detail=said or reason,
        )
    if reason in _CUT:
        return ReplyTruncated(
            "The reply is longer than the model may write, and was cut off: ask for less at once, or raise "
            "the limit of output tokens.",
            detail=reason,
        )
    has_something = bool(reply.text.strip() or reply.tool_calls or reply.invalid_tool_calls)
    if not reason and reply.usage_metadata is None and reply.response_metadata.get("model_provider") == "openai":
        # Both come at a stream's end. A connection that broke is an error of its own; this one was closed in order.
        return ReplyTruncated("The model's reply broke off in the middle: try again.", detail="the stream has no end")
    if not has_something:
        return ReplyEmpty("The model sent an empty reply: try again, or use another model.", detail=reason)
    return None


class _Case:
    """An error with what can be known about it; none of the texts holds a secret."""

    def __init__(self, error: Exception, model_id: str) -> None:
        self.error = error
        self.status = _status(error)
        self.detail = _detail(error)
        self.said = f" It says: {self.detail}" if self.detail else ""
        self.place = _place(error)
        self.model = f'the model "{model_id}"' if model_id else "the model"
        self.words = f"{getattr(error, 'code', '')} {self.detail}"


def _refused(case: _Case) -> ModelFailure | RequestRefused:
    status = case.status or 0
    if _NO_TOOLS.search(case.words):
        return ToolCallingUnsupported(
            f"{case.place} takes no tools for {case.model}, and this agent needs them: choose another model_id, or "
            f"start the model server with tool calling.{case.said}"
        )
    if status == 429 and not _NO_CREDIT.search(case.words):
        return _rate_limited(case)
    if status == 413 or (400 <= status < 500 and _is_too_long(case)):
        return _too_long(case)
    kind, sentence = _OF_STATUS.get(status) or _OF_CLASS[status // 100 if status >= 400 else 0]
    # Where a key is refused nothing is quoted: that is the text which holds it.
    said = "" if kind is ModelKeyRejected else case.said
    message = sentence.format(place=case.place, model=case.model, status=status)
    return kind(f"{message}{said}", detail="" if kind is ModelKeyRejected else case.detail)


def _is_too_long(case: _Case) -> bool:
    return isinstance(case.error, langchain_errors.ContextOverflowError) or bool(_TOO_LONG.search(case.words))


def _rate_limited(case: _Case) -> ModelRateLimited:
    wait = _retry_after_s(_headers(case.error))
    when = f"in {wait:.0f} seconds" if wait is not None else "in a minute"
    return ModelRateLimited(
        f"{case.place} takes no more requests for now: try again {when}.", detail=case.detail, retry_after_s=wait
    )


def _too_long(case: _Case) -> ContextTooLong:
    return ContextTooLong(
        f"The conversation is longer than {case.model} can read: start a new thread, or use a model with a larger "
        "window.",
        detail=case.detail,
    )


def _finish_reason(reply: AIMessage) -> str:
    about = reply.response_metadata
    incomplete = about.get("incomplete_details")
    if isinstance(incomplete, Mapping) and incomplete.get("reason"):
        return str(incomplete["reason"]).lower()
    return str(about.get("finish_reason") or about.get("stop_reason") or about.get("status") or "").lower()


def _refusal(reply: AIMessage) -> str:
    if said := reply.additional_kwargs.get("refusal"):
        return str(said)
    blocks = [block for block in reply.content if isinstance(block, dict)] if isinstance(reply.content, list) else []
    return " ".join(str(block.get("refusal", "")) for block in blocks if block.get("type") == "refusal")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


_STATUS_OF: Final = {
    langchain_errors.ModelAuthenticationError: 401,
    langchain_errors.ModelPermissionDeniedError: 403,
    langchain_errors.ModelNotFoundError: 404,
    langchain_errors.ModelRateLimitError: 429,
    langchain_errors.ModelInvalidRequestError: 400,
    langchain_errors.ModelAPIError: 500,
}


def _status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status
    return next((status for kind, status in _STATUS_OF.items() if isinstance(error, kind)), None)


def _headers(error: Exception) -> Mapping[str, str]:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    if (milliseconds := headers.get("retry-after-ms")) and milliseconds.isascii() and milliseconds.isdecimal():
        return int(milliseconds) / 1000
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _request(error: Exception) -> object:
    with suppress(RuntimeError):  # httpx's way to say that an exception knows no request
        return getattr(error, "request", None) or getattr(getattr(error, "response", None), "request", None)
    return None


def _place(error: Exception) -> str:
    url = str(getattr(_request(error), "url", ""))
    if not url:
        return "The model's provider"
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    path = re.sub(r"/(chat/completions|responses|messages)$", "", parts.path)
    return f"{parts.scheme}://{host}{port}{path}"


def _detail(error: Exception) -> str:
    """What the provider said, in one line."""
    headers = getattr(_request(error), "headers", None)
    sent = headers if isinstance(headers, Mapping) else {}
    secrets = [word for name in _SECRET_HEADERS for word in str(sent.get(name, "")).split() if len(word) > 6]
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, Mapping) else None
    if isinstance(said, Mapping):
        said = json.dumps(said, ensure_ascii=False)
    return _redact(str(said or error), secrets)


def _redact(text: str, secrets: list[str] | tuple[str, ...]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    line = " ".join(_KEYS.sub("***", text).split())
    return line if len(line) <= _MAX_DETAIL else f"{line[:_MAX_DETAIL]}…"
