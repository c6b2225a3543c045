"""Paths that nobody serves: what is served instead, and what to do without those of OpenAI's. Pure."""

from collections.abc import Iterable, Mapping

from claude_relay.errors import NotFoundError

_ELSEWHERE = "It is a service of OpenAI's own, and nothing here takes its place."
_NOTHING_IS_KEPT = "Nothing is stored here: send the whole conversation with each chat completion."
_NO_SOUND = "The upstream neither hears nor speaks: use another server for sound, such as a local one."
_NO_FILES = "Nothing is stored here: send a file inside its message, as a part of the type 'file'."
_NO_TRAINING = "Models cannot be trained here: put instructions and examples into the messages."
INSTEAD: Mapping[str, str] = {
    "assistants": _NOTHING_IS_KEPT,
    "audio": _NO_SOUND,
    "batches": "There are no batches: send each request as a chat completion of its own, several at once if you like.",
    "chatkit": _ELSEWHERE,
    "containers": _ELSEWHERE,
    "conversations": "Conversations and their items can be created, got and deleted.",
    "embeddings": "The upstream has no embeddings: use another server for them, such as a local one.",
    "evals": _ELSEWHERE,
    "files": _NO_FILES,
    "fine_tuning": _NO_TRAINING,
    "images": "The upstream makes no images: use another service for that. It looks at images that messages contain.",
    "moderations": "The upstream moderates by itself; to judge a text, ask for it in a chat completion.",
    "organization": _ELSEWHERE,
    "realtime": f"Answers are text: ask for a chat completion with 'stream'. {_NO_SOUND}",
    "responses": "Responses can be created, got, deleted and cancelled, and the items of their requests listed.",
    "skills": _ELSEWHERE,
    "threads": _NOTHING_IS_KEPT,
    "uploads": _NO_FILES,
    "vector_stores": "Nothing is stored or searched here: send what the model is to know inside a message.",
    "videos": "The upstream makes no videos: use another service for that.",
}
"""What to do instead, by the first part of OpenAI's path."""


def not_found(method: str, path: str, served: Iterable[str]) -> NotFoundError:
    """Return the error for a path that nobody serves.

    Args:
        method: The HTTP method.
        path: The path.
        served: The paths below which something is served.
    """
    known = tuple(served)
    # one with a prefix and one without are the same
    named = [one for one in known if not any(other != one and other.endswith(one) for other in known)]
    first = path.strip("/").removeprefix("v1/").partition("/")[0]
    sentences = [f"Invalid URL ({method} {path}).", INSTEAD.get(first, "")]
    if named:
        sentences.append(f"Served are {', '.join(named)}.")
    return NotFoundError(" ".join(filter(None, sentences)))
