"""Leaves a process behind that has a session of its own and ignores what asks it to end. Argument: a marker."""

import os
import signal
import time

for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        os.closerange(0, 100)
        time.sleep(9999)
    os._exit(0)
os.wait()
