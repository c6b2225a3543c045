# /// script
# dependencies = ["openai"]
# ///
"""Get an answer in the form of a class. The relay checks it against the schema."""

import os

from openai import OpenAI
from pydantic import BaseModel


class Event(BaseModel):
    """What the model finds in a text."""

    name: str
    day: str
    guests: list[str]


client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:8082/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "unused"),
)

answer = client.chat.completions.parse(
    model="sonnet:chat",
    messages=[{"role": "user", "content": "Ada and Alan come to the science fair on Friday."}],
    response_format=Event,
)
event = answer.choices[0].message.parsed
print(f"{event.name}, {event.day}: {', '.join(event.guests)}")
