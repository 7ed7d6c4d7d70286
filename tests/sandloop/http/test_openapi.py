"""What the OpenAPI allows, and what it does not: no request makes the server fail."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, Phase, settings

from sandloop.http.app import create_app
from sandloop.settings import Settings

from .conftest import RunningSandloop, token

SECONDS = 60

schema = schemathesis.openapi.from_dict(create_app(Settings(), auth=False).openapi())


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_makes_the_server_fail(case: schemathesis.Case, sandloop: RunningSandloop):
    # One sandbox for all: each thread would get its own.
    if isinstance(case.body, dict) and isinstance(case.body.get("thread_id"), str):
        case.body["thread_id"] = "fuzz"
    if isinstance(case.query, dict) and "thread_id" in case.query:
        case.query["thread_id"] = "fuzz"
    # Installing what has a random name takes as long as the network likes.
    if isinstance(case.body, dict) and isinstance(case.body.get("policy"), dict):
        case.body["policy"].pop("defaultPackages", None)
    response = case.call(base_url=sandloop.url, headers={"Authorization": f"Bearer {token('fuzzer')}"}, timeout=SECONDS)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"]
        assert "Traceback" not in response.text
