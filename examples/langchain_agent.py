# /// script
# dependencies = ["langchain", "langchain-openai"]
# ///
"""A LangChain agent with a tool of its own."""

import os

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def temperature(city: str) -> int:
    """Return the temperature of a city now, in degrees Celsius."""
    return {"Oslo": -3, "Rome": 14}[city]


model = ChatOpenAI(
    model="sonnet:chat",
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:8082/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "unused"),
)
agent = create_agent(model, [temperature])
state = agent.invoke({"messages": [{"role": "user", "content": "Is it warmer in Oslo or in Rome?"}]})
print(state["messages"][-1].text)
