"""Asks the sandbox's proxy for targets as they are written, which no HTTP client would let through unchanged.

Arguments: how many idle connections to hold open meanwhile, then the targets. Prints a list: for each target the
answer's first line.
"""

import contextlib
import json
import os
import socket
import sys
import urllib.parse


def connect():
    proxy = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
    return socket.create_connection((proxy.hostname, proxy.port), timeout=30)


def ask(target):
    with connect() as connection:
        with contextlib.suppress(ConnectionError):  # The answer may be there already.
            connection.sendall(f"{target} HTTP/1.1\r\n\r\n".encode())
        return connection.makefile("rb").readline().decode().strip()


idle = [connect() for _ in range(int(sys.argv[1]))]
print(json.dumps([ask(target) for target in sys.argv[2:]]))
