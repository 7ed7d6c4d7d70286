"""The /etc of sandboxes: only what libc, bash and git need to work, and nothing that tells of the host."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\nuser:x:1000:1000:user:/home/user:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost ip6-localhost ip6-loopback\n",
    "hostname": "sandbox\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "resolv.conf": "",
    "shells": "/bin/sh\n/bin/bash\n",
    # Debian's own sets PATH anew, and a login shell (what the SDK runs commands in) would lose the sandbox's.
    "profile": "umask 022\n",
    "bash.bashrc": "",
    "gitconfig": "[init]\n\tdefaultBranch = main\n",
}


def write(folder: Path) -> Path:
    """Write the files into a new folder, readable by all; return it."""
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    for name, text in FILES.items():
        path = folder / name
        path.write_text(text, encoding="ascii")
        path.chmod(0o644)
    return folder
