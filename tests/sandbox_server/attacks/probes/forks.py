"""Forks until the kernel says no; prints how many children that made. With "stay" they and it stay."""

import json
import os
import signal
import sys
import time

children = 0
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
while children < 5000:
    try:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
    except OSError:
        break
    children += 1
print(json.dumps(children), flush=True)
if "stay" in sys.argv:
    while True:
        try:
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
        except OSError:
            time.sleep(0.01)
