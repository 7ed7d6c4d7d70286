from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from langchain_core import exceptions as langchain_errors
from langchain_core.messages import AIMessage

from graphs import errors
from graphs.failures import provider_failure, reply_failure


class Refused(Exception):
    """An SDK's error, as far as it is looked at."""

    def __init__(self, status: int, message: str = "", **headers: str) -> None:
        super().__init__(message)
        request = httpx.Request("POST", "http://models/v1/messages", headers={"x-api-key": "topsecret123"})
        self.status_code = status
        self.response = httpx.Response(status, headers=headers, request=request)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (langchain_errors.ModelAuthenticationError("no"), errors.ModelKeyRejected),
        (langchain_errors.ModelPermissionDeniedError("no"), errors.ModelAccessDenied),
        (langchain_errors.ModelNotFoundError("no"), errors.ModelNotFound),
        (langchain_errors.ModelInvalidRequestError("no"), errors.ModelRequestRejected),
        (langchain_errors.ModelRateLimitError("no"), errors.ModelRateLimited),
        (langchain_errors.ModelAPIError("no"), errors.ModelUnavailable),
        (langchain_errors.ModelConnectionError("no"), errors.ModelUnavailable),
        (langchain_errors.ModelTimeoutError("no"), errors.ModelTimeout),
        (langchain_errors.ContextOverflowError("no"), errors.ContextTooLong),
        (Refused(529, "overloaded"), errors.ModelUnavailable),
        (Refused(200, "not what was expected"), errors.ReplyUnreadable),
        (Refused(422, "no such field"), errors.ModelRequestRejected),
        (httpx.ReadTimeout("late"), errors.ModelTimeout),
        (httpx.ConnectError("refused"), errors.ModelUnavailable),
        (httpx.RemoteProtocolError("broken"), errors.ModelUnavailable),
        (TimeoutError(), errors.ModelTimeout),
        (ConnectionResetError(), errors.ModelUnavailable),
        (ValueError("No generation chunks were returned"), errors.ReplyUnreadable),
        (KeyError("choices"), errors.ReplyUnreadable),
        (RuntimeError("anything else"), errors.ModelFailure),
    ],
    ids=repr,
)
def test_the_errors_of_every_sdk_are_mapped(error, expected):
    assert type(provider_failure(error)) is expected


def test_every_model_error_of_langchain_is_mapped():
    kinds = langchain_errors.ModelError.__subclasses__()
    assert kinds
    assert [kind for kind in kinds if type(provider_failure(kind("no"))) is errors.ModelFailure] == []


def test_our_own_errors_stay_what_they_are():
    own = errors.ModelTimeout("late")
    assert provider_failure(own) is own


@pytest.mark.parametrize(
    "text",
    [
        "the key topsecret123 is wrong",
        "got header Authorization: Bearer abcdef.ghij",
        "Incorrect API key provided: sk-proj-abcd*******wxyz.",
        "see http://me:hunter2@proxy/ for more",
        "POST http://models/?key=hunter2",
        "AIzaSyA-1234567890abcdef",
    ],
)
def test_keys_and_passwords_are_taken_out_of_what_the_provider_says(text):
    failed = provider_failure(Refused(400, text))
    assert isinstance(failed, errors.ModelRequestRejected)
    for secret in ("topsecret123", "abcdef", "abcd", "wxyz", "hunter2", "AIza"):
        assert secret not in f"{failed} {failed.detail}"
    assert "***" in str(failed)


def test_of_a_refused_key_nothing_is_quoted():
    failed = provider_failure(Refused(401, "the odd key qwertz is wrong"))
    assert "qwertz" not in f"{failed} {failed.__dict__}"


def test_what_a_provider_says_is_one_line_of_limited_length():
    failed = provider_failure(Refused(500, "a\nb" * 10_000))
    assert len(str(failed)) < 700
    assert "\n" not in str(failed)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({}, None),
    ],
)
def test_a_rate_limit_keeps_the_time_to_wait(headers, seconds):
    failed = provider_failure(Refused(429, "slow", **headers))
    assert isinstance(failed, errors.ModelRateLimited)
    assert failed.retry_after_s == seconds


def test_a_date_to_come_back_at_becomes_seconds():
    at = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    failed = provider_failure(Refused(429, "slow", **{"retry-after": at}))
    assert isinstance(failed, errors.ModelRateLimited)
    assert failed.retry_after_s == pytest.approx(300, abs=30)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"finish_reason": "stop"}, type(None)),
        ({"stop_reason": "end_turn"}, type(None)),
        ({"finish_reason": "STOP"}, type(None)),
        ({"status": "completed"}, type(None)),
        ({}, type(None)),  # a provider that gives no reason
        ({"finish_reason": "length"}, errors.ReplyTruncated),
        ({"stop_reason": "max_tokens"}, errors.ReplyTruncated),
        ({"finish_reason": "MAX_TOKENS"}, errors.ReplyTruncated),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, errors.ReplyTruncated),
        ({"stop_reason": "refusal"}, errors.ReplyFiltered),
        ({"finish_reason": "SAFETY"}, errors.ReplyFiltered),
    ],
)
def test_the_reasons_of_every_provider_are_known(about, expected):
    assert type(reply_failure(AIMessage("So far", response_metadata=about))) is expected


def test_a_reply_with_only_blanks_is_empty():
    assert isinstance(reply_failure(AIMessage(" \n", response_metadata={"finish_reason": "stop"})), errors.ReplyEmpty)
