"""Attacks on a sandbox's walls and on the server in front of it, each with what must happen instead."""
