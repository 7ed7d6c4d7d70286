"""Listens on a port and answers each connection with one of the things that no web server should send."""

import socket
import sys

port, mode = int(sys.argv[1]), sys.argv[2]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
FLOOD = [b"a" * 65536] * 3000
ANSWERS = {
    "status 999": [b"HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nhi"],
    "early hints with a body": [b"HTTP/1.1 103 X\r\nContent-Length: 2\r\n\r\nhi"],
    "switching protocols": [b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhi"],
    "bad length": [OK + b"Content-Length: abc\r\n\r\nhi"],
    "two lengths": [OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi"],
    "no http": [b"\x00\x01\x02\r\n\r\n"],
    "nothing": [],
    "endless head": [OK, *FLOOD],
    "endless headers": [OK, *[b"a: b\r\n" * 10000] * 300],
    "endless informational": [b"HTTP/1.1 100 Continue\r\n\r\n" * 2000] * 300,
    "endless trailer": [CHUNKED + b"0\r\nX: ", *FLOOD],
    "endless trailers": [CHUNKED + b"0\r\n", *[b"a: b\r\n" * 10000] * 3000],
    "endless chunk extension": [CHUNKED + b"2;", *FLOOD],
    "short body": [OK + b"Content-Length: 5\r\nConnection: close\r\n\r\nhi"],
    "long body": [OK + b"Content-Length: 2\r\n\r\nhi and more"],
    "length and no body": [OK + b"Content-Length: 2\r\n\r\n"],
    "endless body": [OK + b"\r\n", *FLOOD],
}

listener = socket.create_server(("127.0.0.1", port))
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    try:
        connection.recv(65536)
        for piece in ANSWERS[mode]:
            connection.sendall(piece)
    except OSError:
        pass
    if mode != "length and no body":
        connection.close()
