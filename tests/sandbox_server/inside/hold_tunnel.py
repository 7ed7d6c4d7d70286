"""Opens a tunnel through the sandbox's proxy, says so, and keeps it until it ends. Argument: host:port."""

import os
import socket
import sys
import urllib.parse

proxy = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
with socket.create_connection((proxy.hostname, proxy.port)) as connection:
    connection.sendall(f"CONNECT {sys.argv[1]} HTTP/1.1\r\n\r\n".encode())
    print(connection.recv(4096).decode().splitlines()[0], flush=True)
    connection.recv(1)
    print("the other side closed", flush=True)
