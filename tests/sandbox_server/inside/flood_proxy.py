"""Connects to the sandbox's proxy from several threads. Argument: how often. Prints how often it could."""

import concurrent.futures
import os
import socket
import sys
import urllib.parse

proxy = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])


def connect(_):
    with socket.create_connection((proxy.hostname, proxy.port), timeout=60):
        return 1


with concurrent.futures.ThreadPoolExecutor(8) as threads:
    print(sum(threads.map(connect, range(int(sys.argv[1])))))
