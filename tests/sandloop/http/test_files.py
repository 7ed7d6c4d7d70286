"""Files of a sandbox over HTTP."""

from __future__ import annotations

import base64

import httpx
import pytest

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_file_is_written_read_listed_renamed_and_deleted(alice: httpx.Client, thread: str):
    in_thread = {"thread_id": thread}
    written = alice.post("/code/write-file", json={"path": "a/b.txt", "content": "one\ntwo\n", **in_thread})
    assert written.json()["path"] == "/home/user/a/b.txt"
    read = alice.post("/code/read-file", json={"path": "a/b.txt", "start_line": 2, **in_thread}).json()
    assert read["text"] == "two\n"
    listed = alice.post("/code/list-files", json={"path": "a", **in_thread}).json()
    assert [entry["name"] for entry in listed["entries"]] == ["b.txt"]
    moved = alice.post("/code/rename-file", json={"path": "a/b.txt", "new_path": "a/c.txt", **in_thread})
    assert moved.json()["path"] == "/home/user/a/c.txt"
    assert alice.post("/code/delete-file", json={"path": "a/c.txt", **in_thread}).status_code == 200
    assert alice.post("/code/read-file", json={"path": "a/c.txt", **in_thread}).status_code == 404


def test_renaming_does_not_overwrite(alice: httpx.Client, thread: str):
    for name in ("a", "b"):
        alice.post("/code/write-file", json={"path": name, "content": name, "thread_id": thread})
    answer = alice.post("/code/rename-file", json={"path": "a", "new_path": "b", "thread_id": thread})
    assert answer.status_code == 409
    assert alice.post("/code/read-file", json={"path": "b", "thread_id": thread}).json()["text"] == "b"


def test_any_bytes_are_uploaded_and_downloaded(alice: httpx.Client, thread: str):
    data = bytes(range(256)) * 1000
    sent = alice.post("/code/upload", files={"file": ("data.bin", data)}, data={"thread_id": thread})
    assert sent.json()["path"] == "/home/user/data.bin"
    got = alice.get("/code/download", params={"path": "data.bin", "thread_id": thread})
    assert got.content == data
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in got.headers["content-security-policy"]


@pytest.mark.parametrize("name", ['a".html', "<script>.html", "ü\u202eexe.html", "a;b=c", "a\r\nX-Evil: 1"])
def test_a_downloads_name_cannot_change_the_answer(alice: httpx.Client, thread: str, name: str):
    if not name.isprintable():
        answer = alice.get("/code/download", params={"path": name, "thread_id": thread})
        assert answer.status_code == 422
    else:
        alice.post("/code/write-file", json={"path": name, "content": "x", "thread_id": thread})
        answer = alice.get("/code/download", params={"path": name, "thread_id": thread})
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].count('"') == 2
    assert "x-evil" not in answer.headers


def test_an_image_is_read_as_base64(alice: httpx.Client, thread: str):
    alice.post("/code/upload", files={"file": ("dot.png", PNG)}, data={"thread_id": thread})
    read = alice.post("/code/read-file", json={"path": "dot.png", "thread_id": thread}).json()
    assert base64.b64decode(read["image"]) == PNG


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "/home/user/../../etc/passwd", "a\x01b", "a" * 300, "/proc/1/environ"]
)
def test_paths_that_lead_out_are_refused_by_field(alice: httpx.Client, thread: str, path: str):
    answer = alice.post("/code/read-file", json={"path": path, "thread_id": thread})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "path"


def test_a_link_out_leads_to_the_sandboxes_own_files(alice: httpx.Client, thread: str):
    alice.post("/code/run-command", json={"command": "ln -s /etc/shadow l; ln -s /etc d", "thread_id": thread})
    for path in ("l", "d/shadow"):
        assert alice.get("/code/download", params={"path": path, "thread_id": thread}).status_code >= 400


def test_a_policy_cannot_open_folders_of_the_servers_machine(alice: httpx.Client, thread: str):
    body = {"path": "a", "content": "", "thread_id": thread, "policy": {"hostDirectories": ["/etc"]}}
    answer = alice.post("/code/write-file", json=body)
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["field"] == "policy.hostDirectories"


def test_a_file_larger_than_the_policys_limit_is_refused(alice: httpx.Client, thread: str):
    body = {"path": "big", "content": "x" * 5000, "thread_id": thread, "policy": {"maxFileBytes": 4096}}
    assert alice.post("/code/write-file", json=body).status_code == 403
