# /// script
# dependencies = ["openai"]
# ///
"""Print an answer as it is written, and then what it used."""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:8082/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "unused"),
)

stream = client.chat.completions.create(
    model="sonnet:chat",
    messages=[{"role": "user", "content": "Write a haiku about sockets."}],
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
    if chunk.usage:
        print(f"\n{chunk.usage.total_tokens} tokens")
