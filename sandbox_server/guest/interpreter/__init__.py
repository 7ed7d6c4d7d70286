"""E2B's code interpreter: contexts with a kernel each, and the HTTP service on port 49999."""
