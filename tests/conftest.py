"""Options of the whole suite."""

import signal

import pytest


def pytest_configure() -> None:
    # A shell starts what it puts in the background with these ignored, and programs inherit that.
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--e2b",
        action="store_true",
        help="run the tests of agent_tools against E2B itself, which needs E2B_API_KEY and starts real sandboxes there",
    )
