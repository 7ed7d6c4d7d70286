"""The tools in a LangGraph graph of your own: two nodes, and a sandbox for each thread.

Run it: `python -m examples.own_graph`; see `examples.create_agent` about the model.
"""

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from agent_tools import SandboxPolicy, coding_tools
from graphs import AgentSettings
from graphs.providers import chat_model

settings = AgentSettings.from_environment()
tools = coding_tools(policy=SandboxPolicy(max_execution_time=60), names=["execute_python_code", "run_command"])
model = chat_model(settings.provider_id, settings.model_id).bind_tools(tools)


def ask(state: MessagesState) -> dict[str, list[object]]:
    return {"messages": [model.invoke(state["messages"])]}


builder = StateGraph(MessagesState)
builder.add_node("model", ask)
builder.add_node("tools", ToolNode(tools))
builder.add_edge(START, "model")
builder.add_conditional_edges("model", tools_condition)
builder.add_edge("tools", "model")
graph = builder.compile(checkpointer=InMemorySaver())


def main() -> None:
    for number, expected in ((10, "3628800"), (5, "120")):
        thread: RunnableConfig = {"configurable": {"thread_id": f"own-graph-{number}"}}
        question = HumanMessage(f"Calculate the factorial of {number}")
        answer = graph.invoke(MessagesState(messages=[question]), thread)["messages"][-1].text
        print(answer)
        assert expected in answer.replace(",", "")


if __name__ == "__main__":
    main()
