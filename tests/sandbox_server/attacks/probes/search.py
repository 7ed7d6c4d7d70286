"""Looks for words (given reversed, so as not to find itself) in all that it can read of the sandbox's processes."""

import json
import os
import sys

words = [word[::-1].encode() for word in sys.argv[1:]]
found: list[str] = []


def look(where, data):
    # Its own arguments are spelled backwards, and what it makes of them is on its heap: only other places count.
    found.extend(where for word in words if word in data)


for name in os.listdir("/proc"):
    if name.isdigit():
        for kind in ("environ", "cmdline"):
            try:
                with open(f"/proc/{name}/{kind}", "rb") as file:
                    look(f"/proc/{name}/{kind}", file.read())
            except OSError:
                pass
        if int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/maps") as maps, open(f"/proc/{name}/mem", "rb") as memory:
                for line in maps:
                    start, end = (int(part, 16) for part in line.split(" ", 1)[0].split("-"))
                    try:
                        memory.seek(start)
                        look(f"memory of {name}", memory.read(end - start))
                    except (OSError, OverflowError, ValueError):
                        pass
        except OSError:
            pass
for folder in ("/etc", "/run", "/tmp", "/home", "/dev/shm", "/opt/sandloop/bin"):
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                with open(os.path.join(parent, name), "rb") as file:
                    look(os.path.join(parent, name), file.read(1 << 20))
            except OSError:
                pass
print(json.dumps(found))
