"""Who may do what: tokens, cookies, owners, hosts and origins."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import stat
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandloop.http.app import create_app
from sandloop.settings import Settings

from .conftest import SECRET, RunningSandloop, token

PUBLIC = {("get", "/health"), ("get", "/ready"), ("post", "/auth/login")}


def every_route() -> list[tuple[str, str]]:
    paths = create_app(Settings(), auth=False).openapi()["paths"]
    return [(method, path) for path, methods in paths.items() for method in methods if (method, path) not in PUBLIC]


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged() -> dict[str, str]:
    good = token()
    head, body, signature = good.split(".")
    now = int(time.time())
    claims = {"sub": "alice", "aud": "sandloop", "exp": now + 600}
    return {
        "none": f"{segment({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        "None": f"{segment({'alg': 'NoNe', 'typ': 'JWT'})}.{body}.{signature}",
        "another algorithm": jwt.encode(claims, SECRET * 2, algorithm="HS512"),
        "another key": jwt.encode(claims, "another key that is long enough for HS256", algorithm="HS256"),
        "a key id that is a path": f"{segment({'alg': 'HS256', 'kid': '../../dev/null'})}.{body}.{signature}",
        "tampered": f"{head}.{segment({**claims, 'sub': 'bob'})}.{signature}",
        "truncated": good[:-4],
        "expired": token(exp=now - 60),
        "not yet": token(nbf=now + 600),
        "made in the future": token(iat=now + 600),
        "another audience": token(aud="somebody"),
        "no audience": token(aud=None),
        "no end": token(exp=None),
        "no subject": token(sub=None),
        "an empty subject": token(sub=""),
        "a subject with line breaks": token(sub="a\nb"),
        "unicode": "\u00e9\u00e8.\u00e9.\u00e9",
        "nothing": "",
        "very long": "a" * 20_000,
    }


def test_every_route_wants_a_token(sandloop: RunningSandloop):
    routes = every_route()
    assert len(routes) >= 30
    with sandloop.client() as client:
        for method, path in routes:
            answer = client.request(method, path, json={})
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", sorted(forged()))
def test_a_token_that_is_not_good_is_refused(sandloop: RunningSandloop, kind: str):
    with sandloop.client() as client:
        bad = forged()[kind]
        answer = client.get("/auth/me", headers=[(b"Authorization", f"Bearer {bad}".strip().encode())])
        assert answer.status_code == 401
        assert answer.json()["code"] == ("token_expired" if kind == "expired" else "unauthorized")
        client.cookies.set("sandloop_session", bad if bad.isascii() and bad else "x")
        assert client.get("/auth/me").status_code == 401
        if bad and bad.isascii() and len(bad) < 8000:
            assert client.post("/auth/login", json={"token": bad}).status_code == 401


def test_two_authorization_headers_are_refused(sandloop: RunningSandloop):
    with sandloop.client() as client:
        headers = [("Authorization", f"Bearer {token()}"), ("Authorization", f"Bearer {token('bob')}")]
        assert client.get("/auth/me", headers=headers).status_code in (400, 401)


def test_a_login_gives_a_cookie_that_scripts_cannot_read(sandloop: RunningSandloop):
    with sandloop.client() as client:
        answer = client.post("/auth/login", json={"token": token()})
        assert answer.json()["subject"] == "alice"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert client.get("/auth/me").json()["by"] == "cookie"
        # Without the token against cross-site requests nothing is changed.
        assert client.post("/code/execute", json={"code": "1"}).json()["code"] == "csrf"
        wrong = {"X-CSRF-Token": "0" * 64}
        assert client.post("/code/execute", json={"code": "1"}, headers=wrong).status_code == 403
        right = {"X-CSRF-Token": client.get("/auth/me").json()["csrf_token"]}
        assert client.post("/auth/logout", headers=right).status_code == 204
        assert client.get("/auth/me").status_code == 401


def test_what_is_anothers_looks_like_what_is_not_there(alice: httpx.Client, bob: httpx.Client, thread: str):
    mine = alice.post("/code/execute", json={"code": "secret = 1", "thread_id": thread}).json()["sandbox_id"]
    unknown = uuid.uuid4().hex[:25]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/extend")):
        body = {"seconds": 60} if method == "POST" else None
        others = bob.request(method, f"/sandboxes/{mine}{path}", json=body)
        nobodys = bob.request(method, f"/sandboxes/{unknown}{path}", json=body)
        assert others.status_code == nobodys.status_code == 404
        assert others.content == nobodys.content
    assert mine not in bob.get("/sandboxes").text
    # The same name of a thread is another thread.
    theirs = bob.post("/code/execute", json={"code": "secret", "thread_id": thread}).json()
    assert theirs["sandbox_id"] != mine
    assert theirs["error"].startswith("NameError")
    assert bob.delete(f"/sandboxes/{theirs['sandbox_id']}").status_code == 204
    assert alice.get(f"/sandboxes/{mine}").json()["thread_id"] == thread


@pytest.mark.parametrize(
    "subject",
    [
        "alice@example.org",
        "alice&sandloop.owner=alice",
        "auth0|1/2",
        "a.b",
        "A" * 200,
        "\u00e4\u4e2d\U0001f600",
        "%2e%2e",
        "*",
    ],
)
def test_any_subject_has_its_own_and_sees_nothing_of_others(
    sandloop: RunningSandloop, alice: httpx.Client, thread: str, subject: str
):
    mine = alice.post("/code/execute", json={"code": "1", "thread_id": thread}).json()["sandbox_id"]
    with sandloop.client(subject) as client:
        assert client.get("/auth/me").json()["subject"] == subject
        assert client.get("/sandboxes").json() == []
        ran = client.post("/code/execute", json={"code": "1", "thread_id": thread}).json()
        assert ran["sandbox_id"] != mine
        assert [entry["sandbox_id"] for entry in client.get("/sandboxes").json()] == [ran["sandbox_id"]]
        made = client.post("/agents/configs", json={"policy": {"name": "x"}}).json()
        assert [entry["id"] for entry in client.get("/agents/configs").json()] == [made["id"]]
        answer = client.post("/agents/run", json={"message": "Hello", "agent_type": "chat", "thread_id": thread})
        assert answer.status_code == 200
        assert [entry["id"] for entry in client.get("/agents/threads").json()] == [thread]
        assert client.delete(f"/agents/threads/{thread}").status_code == 204
        assert client.delete(f"/agents/configs/{made['id']}").status_code == 204
        for sandbox in client.get("/sandboxes").json():
            assert client.delete(f"/sandboxes/{sandbox['sandbox_id']}").status_code == 204


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_is_refused(sandloop: RunningSandloop, host: str):
    with sandloop.client("alice") as client:
        answer = client.get("/health", headers={"Host": host})
        assert answer.status_code in (400, 421)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "https://127.0.0.1"])
def test_a_foreign_page_cannot_change_anything(sandloop: RunningSandloop, origin: str):
    with sandloop.client("alice") as client:
        answer = client.post("/code/execute", json={"code": "1"}, headers={"Origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
        read = client.get("/auth/me", headers={"Origin": origin})
        assert not [name for name in read.headers if name.startswith("access-control-")]
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        asked = client.options("/code/execute", headers=preflight)
        assert not [name for name in asked.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_pages_request_without_an_origin_is_refused(sandloop: RunningSandloop, site: str):
    with sandloop.client("alice", follow_redirects=False) as client:
        headers = {"Sec-Fetch-Site": site}
        assert client.post("/code/execute", json={"code": "1"}, headers=headers).status_code == 403
        # As for an image: it would make a sandbox.
        assert client.get("/code/languages?thread_id=image", headers=headers).status_code == 403
        assert client.get("/", headers=headers).status_code == 200


def test_the_servers_own_page_may(sandloop: RunningSandloop, alice: httpx.Client):
    answer = alice.post("/code/list-files", json={"path": "/etc"}, headers={"Origin": sandloop.url})
    assert answer.json()["code"] == "path.outside"


def test_origins_of_the_settings_may_call_with_a_token(started: Callable[..., RunningSandloop]):
    running = started(
        SANDLOOP_SERVER_CORS_ORIGINS="https://app.example", SANDLOOP_SERVER_ALLOWED_HOSTS=".inside.example"
    )
    with running.client("alice") as client:
        answer = client.get("/auth/me", headers={"Origin": "https://app.example", "Host": "api.inside.example"})
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-credentials" not in answer.headers
        posted = client.post("/code/list-files", json={"path": "/etc"}, headers={"Origin": "https://app.example"})
        assert posted.status_code == 422


def test_without_a_secret_the_server_makes_one_that_is_its_users_alone(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_AUTH_SECRET="")
    assert running.said[-1] == "make a token: sandloop token --expires 1h"
    [key] = running.log.parent.glob("data/sandloop/signing-key")
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    made = jwt.encode({"sub": "a", "aud": "sandloop", "exp": time.time() + 60}, key.read_text(), algorithm="HS256")
    with running.client(headers={"Authorization": f"Bearer {made}"}) as client:
        assert client.get("/auth/me").json()["subject"] == "a"
    assert key.read_text() not in running.log.read_text()


def test_a_public_key_checks_tokens_and_is_no_secret(started: Callable[..., RunningSandloop]):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    running = started({"key.pem": public}, SANDLOOP_AUTH_ALGORITHM="RS256", SANDLOOP_AUTH_PUBLIC_KEY_FILE="key.pem")
    claims = {"sub": "alice", "aud": "sandloop", "exp": time.time() + 60}
    good = jwt.encode(claims, key, algorithm="RS256")
    # The public key as the secret of an HMAC: PyJWT does not make such a token, so it is made by hand.
    signed = f"{segment({'alg': 'HS256', 'typ': 'JWT'})}.{segment(claims)}"
    mac = hmac.new(public, signed.encode(), hashlib.sha256).digest()
    confused = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    with running.client() as client:
        for made, status in ((good, 200), (confused, 401), (token(), 401)):
            answer = client.get("/auth/me", headers={"Authorization": f"Bearer {made}"})
            assert answer.status_code == status


class _Issuer(BaseHTTPRequestHandler):
    """Publishes keys, and counts how often they are asked for."""

    keys: ClassVar[list[dict[str, object]]] = []
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = json.dumps({"keys": self.keys}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_keys_of_an_issuer_are_fetched_and_unknown_key_ids_do_not_flood_it(started: Callable[..., RunningSandloop]):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.get_algorithm_by_name("RS256").to_jwk(key.public_key(), as_dict=True)
    symmetric: dict[str, object] = {"kty": "oct", "k": segment("x" * 40), "kid": "symmetric", "alg": "HS256"}
    _Issuer.keys, _Issuer.asked = [{**public, "kid": "one"}, symmetric], 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Issuer) as issuer:
        thread = threading.Thread(target=issuer.serve_forever)
        thread.start()
        try:
            running = started(
                SANDLOOP_AUTH_ALGORITHM="RS256", SANDLOOP_AUTH_JWKS_URL=f"http://127.0.0.1:{issuer.server_port}/keys"
            )
            claims = {"sub": "alice", "aud": "sandloop", "exp": time.time() + 60}
            with running.client() as client:

                def status(made: str) -> int:
                    return client.get("/auth/me", headers={"Authorization": f"Bearer {made}"}).status_code

                assert status(jwt.encode(claims, key, algorithm="RS256", headers={"kid": "one"})) == 200
                for name in ("symmetric", "two", "../../dev/null"):
                    assert status(jwt.encode(claims, key, algorithm="RS256", headers={"kid": name})) == 401
                assert status(jwt.encode(claims, key, algorithm="RS256")) == 401
                assert status(jwt.encode(claims, "x" * 40, algorithm="HS256", headers={"kid": "one"})) == 401
        finally:
            issuer.shutdown()
            thread.join()
    assert _Issuer.asked == 1


def test_without_authentication_everybody_on_this_machine_is_the_local_user(started: Callable[..., RunningSandloop]):
    running = started(auth=False)
    with running.client() as client:
        assert client.get("/auth/me").json() == {
            "subject": "local",
            "by": "loopback",
            "expires": None,
            "csrf_token": "",
            "csrf_header": "x-csrf-token",
        }
        foreign = client.post("/code/execute", json={"code": "1"}, headers={"Origin": "http://evil.example"})
        assert foreign.status_code == 403
        assert client.get("/auth/me", headers={"Host": "evil.example"}).status_code == 421


def test_without_authentication_only_loopback_is_possible(started: Callable[..., RunningSandloop]):
    with pytest.raises(AssertionError, match="loopback"):
        started(auth=False, SANDLOOP_SERVER_HOST="0.0.0.0")


def test_answers_carry_the_headers_of_a_careful_server(alice: httpx.Client):
    answer = alice.get("/sandboxes")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers


def test_secrets_do_not_reach_answers_or_the_log(sandloop: RunningSandloop, alice: httpx.Client, thread: str):
    canary = token("canary")
    with sandloop.client(headers={"Authorization": f"Bearer {canary}x"}) as client:
        client.cookies.set("sandloop_session", f"{canary}y")
        answers = [client.get("/auth/me?token=" + canary), client.post("/auth/login", json={"token": canary + "z"})]
        answers.append(alice.post("/code/execute", json={"code": f"token = '{canary}'", "timeout": "x"}))
        answers.append(alice.post("/code/execute", json={"code": f"token = '{canary}'", "thread_id": thread}))
    assert all(canary not in answer.text for answer in answers[:3])
    assert canary.rsplit(".", 1)[1] not in sandloop.log.read_text()
    assert SECRET not in sandloop.log.read_text()
