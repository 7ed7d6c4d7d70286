"""Tries to open what /proc shows of pid 1, the guest daemon; prints what could be read, as a list of paths."""

import json
import os

opened = []
for pid in (1,):
    for name in (
        "mem",
        "environ",
        "maps",
        "smaps",
        "auxv",
        "stack",
        "syscall",
        "io",
        "map_files",
        "pagemap",
        "personality",
    ):
        path = f"/proc/{pid}/{name}"
        try:
            if os.path.isdir(path):
                os.listdir(path)
                opened.append(path)
            else:
                with open(path, "rb") as file:
                    if file.read(64):
                        opened.append(path)
        except OSError:
            pass
    for name in ("root", "cwd", "exe", "ns/user", "ns/mnt"):
        try:
            os.readlink(f"/proc/{pid}/{name}")
            opened.append(f"/proc/{pid}/{name}")
        except OSError:
            pass
    for name in ("fd", "fdinfo", "root", "cwd"):
        try:
            os.listdir(f"/proc/{pid}/{name}")
            opened.append(f"/proc/{pid}/{name}")
        except OSError:
            pass
    for name, text in (
        ("oom_score_adj", "-1000"),
        ("mem", "x"),
        ("comm", "evil"),
        ("timerslack_ns", "1"),
        ("clear_refs", "1"),
    ):
        try:
            with open(f"/proc/{pid}/{name}", "w") as file:
                file.write(text)
            opened.append(f"/proc/{pid}/{name} for writing")
        except OSError:
            pass
print(json.dumps(opened))
