"""What the graph adds to LangChain's loop, around its two nodes: the model and the tools."""

from .model_calls import ModelCalls
from .tool_calls import ToolCalls

__all__ = ["ModelCalls", "ToolCalls"]
