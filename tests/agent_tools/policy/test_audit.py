import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tools import audit
from agent_tools.context import CallContext
from agent_tools.errors import PolicyRefusal
from agent_tools.policy import SandboxPolicy
from agent_tools.rules.verdicts import Ask, Verdict

CONTEXT = CallContext(thread_id="t1", owner="ada", policy=SandboxPolicy(name="strict"), tool_call_id="c1")


@contextlib.contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """The audit log's events while it is open, each with its level."""
    events: list[dict[str, Any]] = []

    class Take(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            events.append({**record.__dict__["sandloop"], "log_level": record.levelname.lower()})

    log, handler = logging.getLogger("sandloop.audit"), Take()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield events
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


CALLER = {"owner": "ada", "thread": "t1", "policy": "strict", "tool_call_id": "c1"}


def test_a_refusal_names_the_rule_the_caller_and_what_was_named():
    refusal = PolicyRefusal("The policy forbids 'torch'.", rule="package.denied")
    with capture_logs() as events:
        audit.record_refusal(
            CONTEXT, refusal, tool="install_packages", sandbox_id="s1", names=["torch"], code="x" * 500
        )
    assert events == [
        {
            "event": "call_refused",
            "log_level": "warning",
            "rule": "package.denied",
            "kind": "PolicyRefusal",
            "tool": "install_packages",
            "sandbox_id": "s1",
            **CALLER,
            "names": ["torch"],
            "code": "x" * 100,
        }
    ]


def test_an_install_names_its_packages_and_its_outcome():
    with capture_logs() as events:
        audit.record_install(
            CONTEXT, ["pandas>=2"], sandbox_id="s1", language="python", outcome="failed", duration_s=1.23456
        )
    assert events == [
        {
            "event": "packages_installed",
            "log_level": "info",
            "language": "python",
            "outcome": "failed",
            "duration_s": 1.235,
            "sandbox_id": "s1",
            **CALLER,
            "names": ["pandas>=2"],
        }
    ]


def test_approved_questions_and_warnings_are_noted():
    verdict = Verdict(asks=(Ask("package.unlisted", "numpy", "Install 'numpy'?"),), warnings=("careful",))
    with capture_logs() as events:
        audit.record_passed(CONTEXT, verdict, tool="execute_python_code", code="1")
        audit.record_passed(CONTEXT, Verdict(), tool="execute_python_code", code="1")
    assert [(event["event"], event.get("rule"), event.get("warnings")) for event in events] == [
        ("call_approved", "package.unlisted", None),
        ("call_warned", None, ["careful"]),
    ]


SECRET = "S3cr3tS3cr3tS3cr3tS3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"key = 'sk-{SECRET}'",
        f"sk-proj-{SECRET}",
        f"e2b_{SECRET}",
        f"ghp_{SECRET}",
        f"github_pat_{SECRET}",
        f"hf_{SECRET}",
        f"AKIA{SECRET}",
        f"lsv2_pt_{SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"https://user:{SECRET}@host/x",
        f"x @ git+https://{SECRET}:{SECRET}@host/x",
        f"password={SECRET}",
        f'PASSWORD = "{SECRET} with spaces"',
        f"os.environ['OPENAI_API_KEY'] = '{SECRET}'",
        f'{{"api_key": "{SECRET}"}}',
        f"export AWS_SECRET_ACCESS_KEY={SECRET}",
        f"client_secret: {SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
        "x" * 90 + f" sk-{SECRET}",
    ],
)
def test_what_looks_like_a_secret_never_reaches_the_log(text):
    refusal = PolicyRefusal(text, rule="code.x")
    with capture_logs() as events:
        audit.record_refusal(CONTEXT, refusal, tool="run_command", names=[text], code=text)
        audit.record_passed(CONTEXT, Verdict((Ask("r", text, text),), (text,)), tool="t", names=[text], code=text)
    assert len(events) == 3 and "S3cr" not in repr(events)


def test_ordinary_code_is_shown_as_it_is():
    code = "words = text.split()\nprint(len(words))"
    assert audit.excerpt(code) == code.replace("\n", "\\n")


@given(st.text(max_size=300))
def test_an_excerpt_is_one_printable_line(text):
    assert audit.excerpt(text).isprintable()
    assert len(audit.excerpt(text)) <= 100 * 10
