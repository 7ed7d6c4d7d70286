"""One sandbox against another: files, users, memory, names, tokens."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from e2b import SandboxException
from e2b_code_interpreter import Sandbox

from ..conftest import RunningServer
from .attacker import ENVD, INTERPRETER, encoded, exit_code, to_sandbox, token_of

NewSandbox = Callable[..., Sandbox]


@pytest.fixture
def two(new_sandbox: NewSandbox) -> tuple[Sandbox, Sandbox]:
    return new_sandbox(), new_sandbox()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives each sandbox a user id of its own")
def test_each_sandbox_is_another_user_to_the_kernel(two: tuple[Sandbox, Sandbox]) -> None:
    maps = [sandbox.commands.run("cat /proc/self/uid_map /proc/self/gid_map").stdout.split() for sandbox in two]
    assert maps[0] != maps[1]
    for uid in (entry[1] for entry in maps):
        assert int(uid) > 60_000


def test_shared_memory_and_message_queues_are_apart(two: tuple[Sandbox, Sandbox]) -> None:
    first, second = two
    first.run_code("from multiprocessing import shared_memory as s; kept = s.SharedMemory('canary', True, 10)")
    assert first.commands.run("ipcmk -M 1000 -S 1 > /dev/null; ls /dev/shm").stdout == "canary\n"
    assert (
        second.commands.run("ls /dev/shm; tail -n +2 /proc/sysvipc/shm /proc/sysvipc/sem | grep 1000 || true").stdout
        == ""
    )
    assert exit_code(first, "test -e /dev/mqueue") == 1


def test_abstract_sockets_and_processes_are_apart(two: tuple[Sandbox, Sandbox]) -> None:
    first, second = two
    first.run_code("import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0canary'); s.listen()")
    error = second.run_code("import socket; socket.socket(socket.AF_UNIX).connect('\\0canary')").error
    assert error is not None and error.name == "ConnectionRefusedError"
    marker = first.sandbox_id
    first.commands.run(f"exec -a {marker} sleep 600", background=True)
    assert exit_code(second, f"cat /proc/[0-9]*/cmdline | grep -a '[{marker[0]}]{marker[1:]}'") == 1


def test_terminals_are_apart(two: tuple[Sandbox, Sandbox]) -> None:
    first, second = two
    first.run_code("import pty; kept = pty.openpty()")
    assert "0" in first.commands.run("ls /dev/pts").stdout.split()
    assert second.commands.run("ls /dev/pts").stdout.split() == ["ptmx"]


def test_names_that_one_sandbox_sets_stay_in_it(two: tuple[Sandbox, Sandbox]) -> None:
    first, second = two
    first.run_code("import numpy; numpy.canary = 1; import os; os.environ['CANARY'] = '1'")
    assert second.run_code("import numpy, os; hasattr(numpy, 'canary') or 'CANARY' in os.environ").text == "False"


def test_random_numbers_of_two_sandboxes_differ(two: tuple[Sandbox, Sandbox]) -> None:
    code = (
        "import random, uuid, numpy, ssl, tempfile\n"
        "(random.random(), str(uuid.uuid4()), numpy.random.rand(), ssl.RAND_bytes(8), tempfile.mktemp())"
    )
    first, second = (eval(str(sandbox.run_code(code).text)) for sandbox in two)
    assert all(one != other for one, other in zip(first, second, strict=True))


REQUESTS = [
    ("GET", ENVD, "/files?path=/etc/passwd"),
    ("POST", ENVD, "/files?path=x"),
    ("POST", ENVD, "/files/compose"),
    ("GET", ENVD, "/metrics"),
    ("GET", ENVD, "/envs"),
    ("POST", ENVD, "/process.Process/Start"),
    ("POST", ENVD, "/process.Process/List"),
    ("POST", ENVD, "/filesystem.Filesystem/ListDir"),
    ("POST", INTERPRETER, "/execute"),
    ("POST", INTERPRETER, "/%65xecute"),
]


@pytest.mark.parametrize(("method", "port", "path"), REQUESTS)
def test_the_token_of_another_sandbox_opens_nothing(
    server: RunningServer, two: tuple[Sandbox, Sandbox], method: str, port: int, path: str
) -> None:
    first, second = two
    token = token_of(first)
    with server.client() as client:
        for wrong in (token, token_of(second)[:-1], token_of(second) + "x", "", "\xff" * 8, token_of(second).upper()):
            headers = {**to_sandbox(second, port, token=False), "X-Access-Token": wrong}
            answer = client.request(method, path, headers=encoded(headers))
            assert answer.status_code == 401, wrong
            assert set(answer.json()) == {"message", "code"}
        assert client.request(method, path, headers=to_sandbox(second, port, token=False)).status_code == 401


def test_the_port_in_a_header_cannot_differ_from_the_one_that_was_checked(
    server: RunningServer, two: tuple[Sandbox, Sandbox]
) -> None:
    """The interpreter's port asks for no token on most routes: it must not lead to envd, which does."""
    first, _ = two
    host = {"Host": f"{INTERPRETER}-{first.sandbox_id}.localhost", "E2b-Sandbox-Port": str(ENVD)}
    with server.client() as client:
        assert client.get("/files?path=/etc/passwd", headers=host).status_code == 404
        assert client.post("/process.Process/List", headers=host, json={}).status_code == 404
        host = {"Host": f"{ENVD}-{first.sandbox_id}.localhost", "E2b-Sandbox-Port": str(INTERPRETER)}
        assert client.post("/execute", headers=host, json={"code": "1"}).status_code == 401


def test_an_unknown_sandbox_and_one_that_ended_look_the_same(
    server: RunningServer, two: tuple[Sandbox, Sandbox]
) -> None:
    first, second = two
    second.kill()
    with server.client() as client:
        answers = []
        for sandbox_id in (second.sandbox_id, "0" * 25):
            headers = {**to_sandbox(first), "E2b-Sandbox-Id": sandbox_id}
            answer = client.get("/files?path=x", headers=headers)
            answers.append((answer.status_code, answer.text.replace(sandbox_id, "")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 502


def test_a_file_lock_on_a_shared_file_is_seen_by_others(two: tuple[Sandbox, Sandbox]) -> None:
    """A known limit: /usr is one file system, so two sandboxes that cooperate can pass bits to each other."""
    first, second = two
    lock = "import fcntl; kept = open('/usr/bin/env'); fcntl.flock(kept, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    assert first.run_code(lock).error is None
    error = second.run_code(lock).error
    assert error is not None and error.name == "BlockingIOError"


def test_a_dead_sandbox_is_not_reached_by_its_old_token(two: tuple[Sandbox, Sandbox]) -> None:
    first, _ = two
    first.kill()
    with pytest.raises(SandboxException):
        first.commands.run("true")
