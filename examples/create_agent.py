"""The tools in LangChain's `create_agent`: a model that writes and runs code, in five lines.

Run it: `python -m examples.create_agent`. With OPENAI_API_KEY, or OPENAI_BASE_URL and SANDLOOP_MODEL, it asks that
model, without them the scripted one, whose replies are prepared.
"""

from langchain.agents import create_agent

from agent_tools import coding_tools
from graphs import AgentSettings
from graphs.providers import chat_model

settings = AgentSettings.from_environment()
agent = create_agent(chat_model(settings.provider_id, settings.model_id), coding_tools())


def main() -> None:
    question = {"role": "user", "content": "Calculate the factorial of 10"}
    result = agent.invoke({"messages": [question]}, {"configurable": {"thread_id": "create-agent-example"}})
    answer = result["messages"][-1].text
    print(answer)
    assert "3628800" in answer.replace(",", "")


if __name__ == "__main__":
    main()
