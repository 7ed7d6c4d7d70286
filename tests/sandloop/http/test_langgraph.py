"""The application as a part of another server."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sandloop.http.app import Mounted, create_app
from sandloop.http.services import Services
from sandloop.settings import Settings, load
from tests.sandbox_server.conftest import RunningServer

from .conftest import SECRET, token


@pytest.fixture
def settings(sandbox_server: RunningServer, tmp_path: Path) -> Settings:
    environ = {
        "E2B_API_URL": sandbox_server.url,
        "E2B_SANDBOX_URL": sandbox_server.url,
        "E2B_API_KEY": "test-key",
        "SANDLOOP_AUTH_SECRET": SECRET,
        "SANDLOOP_DATABASE": str(tmp_path / "threads.sqlite"),
    }
    return load(environ=environ)


@contextlib.asynccontextmanager
async def client_of(app: FastAPI):
    transport = httpx.ASGITransport(app=app)
    client = httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)
    async with app.router.lifespan_context(app), client:
        yield client


async def test_routes_of_the_other_server_are_left_as_they_are(settings: Settings):
    app = create_app(settings, alone=False)
    # As LangGraph's server does it: its own routes go into the application that it is given.
    app.router.routes.append(Route("/threads", lambda _: PlainTextResponse("theirs"), methods=["POST"]))
    async with client_of(app) as client:
        theirs = await client.post("/threads", headers={"Origin": "https://studio.example", "Host": "other.example"})
        assert (theirs.status_code, theirs.text) == (200, "theirs")
        assert "content-security-policy" not in theirs.headers
        assert (await client.post("/code/execute", json={"code": "1"})).status_code == 401
        headers = {"Authorization": f"Bearer {token()}"}
        ran = await client.post("/code/execute", json={"code": "1 + 1", "thread_id": "lg"}, headers=headers)
        assert ran.json()["output"] == "2"
        assert (await client.delete(f"/sandboxes/{ran.json()['sandbox_id']}", headers=headers)).status_code == 204
        assert (await client.get("/")).status_code == 404


async def test_a_mounted_application_is_behind_the_same_authentication(settings: Settings):
    @contextlib.asynccontextmanager
    async def other(services: Services):
        assert services.settings is settings

        async def app(scope, receive, send):
            await PlainTextResponse(scope["sandloop.caller"].subject)(scope, receive, send)

        yield app

    async with client_of(create_app(settings, mounts=[Mounted("/mcp", other)])) as client:
        assert (await client.get("/mcp/")).status_code == 401
        answer = await client.get("/mcp/", headers={"Authorization": f"Bearer {token('carol')}"})
        assert answer.text == "carol"
        assert (await client.get("/mcp/", headers={"Host": "evil.example"})).status_code == 421


def test_the_module_that_langgraph_is_given_imports(tmp_path: Path):
    program = "from sandloop.http.langgraph import app; print(app.title)"
    environ = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert said.stdout == "Sandloop\n"
