"""E2B's `process.Process` service: programs and terminals of a sandbox, their output, input, signals and end."""
