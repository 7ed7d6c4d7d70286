"""Tries ways out of the sandbox; prints {name: "ok" or the name of the errno}.

Arguments: ports, a socket's path and a socket's abstract name, all of the host.
"""

import errno
import json
import socket
import sys


def connect(family, kind, address):
    with socket.socket(family, kind) as sock:
        sock.settimeout(3)
        try:
            sock.connect(address)
        except TimeoutError:
            return "ETIMEDOUT"
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return "ok"


def resolve():
    try:
        socket.getaddrinfo("example.com", 80)
    except socket.gaierror as error:
        return "EAI_" + ("AGAIN" if error.errno == socket.EAI_AGAIN else "NONAME")
    return "ok"


gateway, listener, unix_path, abstract = sys.argv[1:]
tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
four, six, unix = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
print(
    json.dumps(
        {
            "internet": connect(four, tcp, ("1.1.1.1", 53)),
            "udp": connect(four, udp, ("8.8.8.8", 53)),
            "internet 6": connect(six, tcp, ("2606:4700:4700::1111", 53)),
            "metadata": connect(four, tcp, ("169.254.169.254", 80)),
            "metadata 6": connect(six, tcp, ("fd00:ec2::254", 80)),
            "private": connect(four, tcp, ("10.0.0.1", 80)),
            "gateway": connect(four, tcp, ("127.0.0.1", int(gateway))),
            "any address": connect(four, tcp, ("0.0.0.0", int(gateway))),
            "listener": connect(four, tcp, ("127.0.0.1", int(listener))),
            "listener 6": connect(six, tcp, ("::1", int(listener))),
            "unix": connect(unix, tcp, unix_path),
            "abstract": connect(unix, tcp, "\0" + abstract),
            "name": resolve(),
        }
    )
)
