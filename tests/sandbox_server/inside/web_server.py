"""A web server that runs in a sandbox: `python web_server.py PORT [HOST]`. It says "ready" once it listens."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MIB = 1024 * 1024
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sent_mib = 0

    def do_GET(self) -> None:
        match self.path.split("?")[0]:
            case "/large":
                self._large()
            case "/sent":
                self._answer(200, str(Handler.sent_mib).encode())
            case "/events":
                self._events()
            case "/old":
                self._without_length()
            case "/half":
                self._half()
            case "/unchanged":
                self.send_response(304)
                self.send_header("Content-Length", "1000")
                self.end_headers()
            case "/empty":
                self.send_response(204)
                self.end_headers()
            case "/garbage":
                self.wfile.write(b"this is no HTTP\r\n\r\n")
                self.close_connection = True
            case "/socket":
                self._websocket()
            case _:
                self._echo(b"")

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def do_POST(self) -> None:
        if self.path == "/refuse":
            # Answers before it has read the body, and hangs up.
            self.close_connection = True
            return self._answer(413, b"too large")
        body = b""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._echo(body)

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _echo(self, body: bytes) -> None:
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": hashlib.sha256(body).hexdigest(),
            "bytes": len(body),
        }
        self._answer(200, json.dumps(seen).encode(), "application/json")

    def _large(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(100 * MIB))
        self.end_headers()
        Handler.sent_mib = 0
        for _ in range(100):
            self.wfile.write(bytes(MIB))
            Handler.sent_mib += 1

    def _events(self) -> None:
        """Send one event for each byte that comes on standard input of this server."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        for number in range(1000):
            if not sys.stdin.readline():
                return
            self.wfile.write(f"data: {number}\n\n".encode())

    def _without_length(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
        self.close_connection = True

    def _half(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def _websocket(self) -> None:
        """Shake hands; then send every byte back until the client closes."""
        accept = base64.b64encode(hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + WEBSOCKET_GUID).digest())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.end_headers()
        self.close_connection = True
        while data := self.connection.recv(65536):
            self.connection.sendall(data)
        say("client gone")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


def main() -> None:
    host = sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0"
    Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with Server((host, int(sys.argv[1])), Handler) as server:
        say("ready")
        server.serve_forever()


if __name__ == "__main__":
    main()
