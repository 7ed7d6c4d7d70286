"""The same application inside LangGraph's own server: `"http": {"app": "sandloop.http.langgraph:app"}`.

Its routes keep their own authentication, limits and headers; those of LangGraph are left as they are.
"""

from __future__ import annotations

from ..settings import load
from .app import create_app

app = create_app(load(), alone=False)
