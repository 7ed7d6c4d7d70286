"""The code that runs inside a sandbox. It imports nothing of the host side, and the host never imports it.

A sandbox is a fork of a warm template process (`template`), which puts up the inner wall (`walls`) and becomes the
guest daemon (`daemon`): pid 1 of the sandbox, it speaks E2B's protocols and starts and reaps every other process
(`processes`). A Python kernel is a fork of it, and so has warm what the template has.
"""
