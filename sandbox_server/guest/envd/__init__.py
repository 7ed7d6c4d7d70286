"""envd: E2B's process and filesystem services and its plain HTTP routes, served on port 49983 of a sandbox.

`app.create` builds the ASGI application. The Connect services (`process`, `filesystem`) implement the server side of
the SDK's own generated modules; shapes, status codes and messages follow E2B's `spec/envd` and its open-source envd.
"""
