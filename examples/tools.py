# /// script
# dependencies = ["openai"]
# ///
"""Let the model call a function of this program until it has its answer."""

import json
import os

from openai import OpenAI

TEMPERATURES = {"Oslo": -3, "Rome": 14}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "temperature",
            "description": "The temperature of a city now, in degrees Celsius.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "enum": list(TEMPERATURES)}},
                "required": ["city"],
            },
        },
    }
]

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:8082/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "unused"),
)

messages = [{"role": "user", "content": "Is it warmer in Oslo or in Rome?"}]
while True:
    answer = client.chat.completions.create(model="sonnet:chat", messages=messages, tools=TOOLS).choices[0].message
    messages.append(answer)
    if not answer.tool_calls:
        break
    for call in answer.tool_calls:
        city = json.loads(call.function.arguments)["city"]
        print(f"{call.function.name}: {city}")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": str(TEMPERATURES[city])})

print(answer.content)
