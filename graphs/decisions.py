"""A person's decisions, as what LangGraph resumes the interrupted calls with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool
from pydantic import BaseModel, ValidationError

from .errors import DecisionInvalid
from .requests import ApprovalDecision, ApprovalRequest


def resume_values(
    pending: Mapping[str, tuple[str, ApprovalRequest]],
    decisions: Sequence[ApprovalDecision],
    tools: Mapping[str, BaseTool],
) -> dict[str, dict[str, Any]]:
    """Return the decisions by the ids of their interrupts.

    Args:
        pending: the calls that wait, by their ids, each with the id of its interrupt.
        decisions: one for each of them.
        tools: what edited arguments are checked against.

    Raises:
        DecisionInvalid: one is missing, is for no waiting call, or has unusable arguments.
    """
    given = {decision.tool_call_id: decision for decision in decisions}
    if len(given) < len(decisions):
        raise DecisionInvalid("There are two decisions for one tool call: send one for each.")
    if unknown := sorted(given.keys() - pending.keys()):
        raise DecisionInvalid(f'No tool call "{unknown[0][:100]}" waits for a decision. {_waiting(pending)}')
    if missing := sorted(pending.keys() - given.keys()):
        raise DecisionInvalid(f'The tool call "{missing[0]}" needs a decision too. {_waiting(pending)}')
    return {pending[call_id][0]: _value(pending[call_id][1], made, tools) for call_id, made in given.items()}


def _value(request: ApprovalRequest, decision: ApprovalDecision, tools: Mapping[str, BaseTool]) -> dict[str, Any]:
    if decision.decision == "approve":
        return {"type": "approve"}
    if decision.decision == "reject":
        return {"type": "reject"} | ({"message": decision.reason} if decision.reason else {})
    if decision.args is None:
        raise DecisionInvalid(f'The edit of the tool call "{request.tool_call_id}" needs the new arguments as "args".')
    schema = tools[request.name].tool_call_schema if request.name in tools else None
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        try:
            schema.model_validate(decision.args)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise DecisionInvalid(
                f'The edited arguments of "{request.name}" are wrong at {place}: {first["msg"]}'
            ) from None
    return {"type": "edit", "edited_action": {"name": request.name, "args": decision.args}}


def _waiting(pending: Mapping[str, object]) -> str:
    return f"Waiting: {', '.join(pending)}." if pending else "None waits."
