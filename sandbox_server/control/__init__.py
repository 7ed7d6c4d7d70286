"""E2B's control plane: the routes that create, find and end sandboxes."""
