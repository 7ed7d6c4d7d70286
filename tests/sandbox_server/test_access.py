"""Who may do what: API keys of the control plane, tokens and signatures of a sandbox, and the server's own names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from e2b import AuthenticationException
from e2b.sandbox.signature import get_signature
from e2b_code_interpreter import Sandbox
from starlette.routing import Route

from sandbox_server.control.app import ControlPlane
from sandbox_server.settings import Settings

from .conftest import API_KEY, RunningServer

NewSandbox = Callable[..., Sandbox]

NOBODY: Any = None
ROUTES = [
    (method, route.path.replace("{rest:path}", "rest"))
    for route in cast(list[Route], ControlPlane(Settings(), NOBODY, NOBODY, NOBODY, "").app().routes)
    for method in sorted(route.methods or ())
    if route.path != "/health"
]
"""All there are."""

WRONG_KEYS: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"X-API-Key": ""},
    "another": {"X-API-Key": "wrong"},
    "shorter": {"X-API-Key": API_KEY[:-1]},
    "longer": {"X-API-Key": API_KEY + "x"},
    "other case": {"X-API-Key": API_KEY.upper()},
    "not ASCII": {"X-API-Key": "kłucz"},
    "long": {"X-API-Key": "x" * 10_000},
    "bearer": {"Authorization": "Bearer wrong"},
    "basic": {"Authorization": "Basic " + API_KEY},
}


def encoded(headers: dict[str, str]) -> dict[bytes, bytes]:
    """Return headers as bytes: httpx takes no others than ASCII as text."""
    return {name.encode(): value.encode() for name, value in headers.items()}


@pytest.fixture
def stranger(server: RunningServer) -> Iterator[httpx.Client]:
    """A client that knows nothing."""
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("key", WRONG_KEYS)
def test_every_route_of_the_control_plane_asks_for_the_key(stranger: httpx.Client, sandbox: Sandbox, key: str) -> None:
    for method, route in ROUTES:
        path = route.replace("{id}", sandbox.sandbox_id)
        answer = stranger.request(method, path, headers=encoded(WRONG_KEYS[key]), json={})
        assert answer.status_code == 401, route
        assert method == "HEAD" or answer.json()["code"] == 401, route
    assert sandbox.is_running()


def test_a_route_answers_a_stranger_the_same_for_every_id(stranger: httpx.Client, sandbox: Sandbox) -> None:
    known, unknown = (stranger.get(f"/sandboxes/{name}") for name in (sandbox.sandbox_id, "i" * 20))
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


def test_the_key_is_taken_as_a_bearer_too(stranger: httpx.Client, sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    assert stranger.get(f"/sandboxes/{sandbox.sandbox_id}", headers=headers).status_code == 200


def test_the_sdk_says_that_the_key_is_wrong(server: RunningServer) -> None:
    with pytest.raises(AuthenticationException, match="API key"):
        Sandbox.create(**{**server.options, "api_key": "e2b_" + "0" * 40})


def test_only_health_is_open_to_all(stranger: httpx.Client) -> None:
    assert stranger.get("/health").status_code == 200
    assert stranger.get("/metrics").status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil.example@127.0.0.1", 421),
        ("", 421),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:49980", 200),
        ("[::1]:49980", 200),
        ("[::1]", 200),
        ("192.0.2.7:49980", 200),
    ],
)
def test_a_name_that_is_not_the_servers_is_misdirected(stranger: httpx.Client, host: str, status: int) -> None:
    """A web page can make its own name resolve to 127.0.0.1: the right key does not help there."""
    answer = stranger.get("/v2/sandboxes", headers={"Host": host, "X-API-Key": API_KEY})
    assert answer.status_code == status


def tokens(sandbox: Sandbox, other: Sandbox) -> dict[str, dict[str, str]]:
    own, others = sandbox._envd_access_token, other._envd_access_token
    assert own
    assert others
    return {
        "none": {},
        "empty": {"X-Access-Token": ""},
        "another": {"X-Access-Token": "wrong"},
        "shorter": {"X-Access-Token": own[:-1]},
        "other sandbox's": {"X-Access-Token": others},
        "not ASCII": {"X-Access-Token": "ł"},
        "API key": {"X-Access-Token": API_KEY, "X-API-Key": API_KEY},
    }


@pytest.mark.parametrize(
    ("method", "path", "port"),
    [
        ("GET", "/files?path=/etc/hostname", 49983),
        ("POST", "/files?path=a", 49983),
        ("POST", "/files/compose", 49983),
        ("GET", "/metrics", 49983),
        ("GET", "/envs", 49983),
        ("POST", "/init", 49983),
        ("POST", "/process.Process/List", 49983),
        ("POST", "/process.Process/Start", 49983),
        ("POST", "/filesystem.Filesystem/ListDir", 49983),
        ("GET", "/no-such-route", 49983),
        ("GET", "//health", 49983),
        ("GET", "/health/", 49983),
        ("POST", "/execute", 49999),
    ],
)
def test_a_sandbox_asks_for_its_own_token(
    stranger: httpx.Client, new_sandbox: NewSandbox, method: str, path: str, port: int
) -> None:
    sandbox = new_sandbox()
    target = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": str(port)}
    by_name = {"Host": f"{port}-{sandbox.sandbox_id}.localhost"}
    for case, headers in tokens(sandbox, new_sandbox()).items():
        for address in (target, by_name):
            answer = stranger.request(method, path, headers=encoded({**address, **headers}), json={})
            assert (answer.status_code, answer.json()["code"]) == (401, 401), case


def test_a_sandboxs_health_is_open_to_whoever_knows_its_id(stranger: httpx.Client, sandbox: Sandbox) -> None:
    assert stranger.get("/health", headers={"E2b-Sandbox-Id": sandbox.sandbox_id}).status_code == 204


@pytest.mark.parametrize("port", ["49999", "3000"])
def test_the_port_header_cannot_lead_past_the_token(stranger: httpx.Client, sandbox: Sandbox, port: str) -> None:
    """The port that was checked is the one that is reached, whatever a host name and a header say together."""
    headers = {"Host": f"49983-{sandbox.sandbox_id}.localhost", "E2b-Sandbox-Port": port}
    assert stranger.get("/envs", headers=headers).status_code == 401


@pytest.mark.parametrize("sandbox_id", ["I" * 20, "a:b", "../x", "a b", "", "x" * 10_000, "ł"])
def test_an_id_that_none_can_have_is_a_400(stranger: httpx.Client, sandbox_id: str) -> None:
    answer = stranger.get("/health", headers=encoded({"E2b-Sandbox-Id": sandbox_id}))
    assert answer.status_code == 400


@pytest.mark.parametrize("port", ["0", "-1", "65536", "x", "", "3000.0", "99999999999999999999", "٣"])
def test_a_port_that_is_none_is_a_400(stranger: httpx.Client, sandbox: Sandbox, port: str) -> None:
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": port}
    assert stranger.get("/health", headers=encoded(headers)).status_code == 400


def test_an_unknown_sandbox_and_a_dead_one_are_answered_alike(stranger: httpx.Client, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox()
    sandbox.kill()
    answers = [stranger.get("/health", headers={"E2b-Sandbox-Id": name}) for name in (sandbox.sandbox_id, "i" * 20)]
    assert [answer.status_code for answer in answers] == [502, 502]
    assert [answer.json()["message"] for answer in answers] == ["The sandbox was not found"] * 2


# --- signed file URLs


def changed(url: str, **fields: str | None) -> str:
    """Return the URL with other query fields; None removes one."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()} | fields
    kept = {name: value for name, value in query.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(kept)))


@pytest.mark.parametrize("options", [{}, {"use_signature_expiration": 60}, {"user": "user"}])
def test_a_signed_url_uploads_and_downloads(
    stranger: httpx.Client, sandbox: Sandbox, options: dict[str, int | str]
) -> None:
    put = stranger.post(sandbox.upload_url("a b.txt", **options), files={"file": b"signed"})
    assert put.status_code == 200
    got = stranger.get(sandbox.download_url("a b.txt", **options))
    assert (got.status_code, got.content) == (200, b"signed")


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param({"path": "other.txt"}, id="other path"),
        pytest.param({"path": "/home/user/a.txt"}, id="same file by another path"),
        pytest.param({"path": None}, id="no path"),
        pytest.param({"username": "root"}, id="other user"),
        pytest.param({"signature": None}, id="no signature"),
        pytest.param({"signature": "v1_"}, id="empty signature"),
        pytest.param({"signature": "v1_" + "A" * 43}, id="wrong signature"),
        pytest.param({"signature": "ł"}, id="not ASCII"),
        pytest.param({"signature_expiration": "99999999999"}, id="later expiration"),
        pytest.param({"signature_expiration": None}, id="no expiration"),
        pytest.param({"signature_expiration": "never"}, id="expiration that is no number"),
    ],
)
def test_a_signed_url_is_good_for_nothing_else(
    stranger: httpx.Client, sandbox: Sandbox, forge: dict[str, str | None]
) -> None:
    sandbox.files.write_files([{"path": "a.txt", "data": "canary"}, {"path": "other.txt", "data": "canary"}])
    url = changed(sandbox.download_url("a.txt", use_signature_expiration=60), **forge)
    answer = stranger.get(url, headers={"E2b-Sandbox-Id": sandbox.sandbox_id})
    assert answer.status_code == 401
    assert b"canary" not in answer.content
    # Without the header the signature alone would have to name the sandbox.
    assert stranger.get(url).status_code in (401, 404)


@pytest.mark.parametrize("seconds", [-1, -100_000])
def test_an_expired_signature_is_refused(stranger: httpx.Client, sandbox: Sandbox, seconds: int) -> None:
    sandbox.files.write("a.txt", "canary")
    answer = stranger.get(sandbox.download_url("a.txt", use_signature_expiration=seconds))
    assert answer.status_code == 401
    assert "expired" in answer.json()["message"]


def test_a_signature_for_reading_does_not_write_and_the_other_way_round(
    stranger: httpx.Client, sandbox: Sandbox
) -> None:
    sandbox.files.write("a.txt", "before")
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id}
    assert stranger.post(sandbox.download_url("a.txt"), files={"file": b"x"}, headers=headers).status_code == 401
    assert stranger.get(sandbox.upload_url("a.txt"), headers=headers).status_code == 401
    for method in ("HEAD", "DELETE", "PUT"):
        assert stranger.request(method, sandbox.download_url("a.txt"), headers=headers).status_code == 401
    assert sandbox.files.read("a.txt") == "before"


def test_a_signature_of_another_sandbox_is_refused(stranger: httpx.Client, new_sandbox: NewSandbox) -> None:
    one, other = new_sandbox(), new_sandbox()
    other.files.write("a.txt", "canary")
    answer = stranger.get(one.download_url("a.txt"), headers={"E2b-Sandbox-Id": other.sandbox_id})
    assert answer.status_code == 401


def test_a_signature_opens_nothing_but_files(stranger: httpx.Client, sandbox: Sandbox) -> None:
    signed = get_signature("a.txt", "read", None, sandbox._envd_access_token)["signature"]
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id}
    for path in ("/envs", "/metrics", "/files/compose", "/files/"):
        answer = stranger.get(f"{path}?path=a.txt&username=&signature={signed}", headers=headers)
        assert answer.status_code == 401, path


def test_a_signature_with_an_old_token_ends_with_its_sandbox(stranger: httpx.Client, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox()
    url = sandbox.download_url("a.txt", use_signature_expiration=60)
    assert int(parse_qs(urlsplit(url).query)["signature_expiration"][0]) > time.time()
    sandbox.kill()
    assert stranger.get(url).status_code in (401, 404)
