"""Calls the kernel by its other binary interfaces; prints {name: the signal that ended it, or 0}. For x86-64."""

import ctypes
import json
import mmap
import os

INT_80_GETPID = bytes.fromhex("b814000000cd80c3")  # mov eax, 20; int 0x80; ret
X32_GETPID = 0x40000000 + 39


def in_child(action):
    pid = os.fork()
    if pid == 0:
        action()
        os._exit(0)
    _, code = os.waitpid(pid, 0)
    return os.WTERMSIG(code) if os.WIFSIGNALED(code) else 0


def int_80():
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(INT_80_GETPID)
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


def x32():
    ctypes.CDLL(None).syscall(ctypes.c_long(X32_GETPID))


print(json.dumps({"int 0x80": in_child(int_80), "x32": in_child(x32)}))
