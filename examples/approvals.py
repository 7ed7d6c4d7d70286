"""A person decides: what the policy marks `ask` waits, here for whoever sits at the terminal.

Run it: `python -m examples.approvals`; see `examples.create_agent` about the model. Without a terminal it approves.
"""

import asyncio
import sys
from dataclasses import replace

from agent_tools import SandboxPolicy
from agent_tools.policy import CodePattern
from graphs import AgentRequest, AgentService, AgentSettings, ApprovalDecision
from graphs.requests import ApprovalRequest, Ended

POLICY = SandboxPolicy(
    name="careful",
    package_approval="ask",
    dangerous_code_patterns=(CodePattern(name="factorials", calls=("math.factorial",), action="ask"),),
)


def decided(request: ApprovalRequest) -> ApprovalDecision:
    print(f"{request.name} {request.args}\n{request.reason}")
    approved = not sys.stdin.isatty() or input("Run it? [y/n] ").strip() == "y"
    return ApprovalDecision(tool_call_id=request.tool_call_id, decision="approve" if approved else "reject")


async def main() -> None:
    settings = replace(AgentSettings.from_environment(), database=":memory:")
    async with AgentService(settings) as service:
        response = await service.run(AgentRequest(message="Calculate the factorial of 10", policy=POLICY))
        while response.stopped_because == "approval":
            # Hours may pass here, and the process may end: with a database in a file the run can go on in another.
            decisions = [decided(request) for request in response.approvals]
            async for event in service.resume(response.thread_id, decisions):
                if isinstance(event, Ended):
                    response = event.response
        print(response.answer)
        assert response.stopped_because == "answered", response.failure


if __name__ == "__main__":
    asyncio.run(main())
