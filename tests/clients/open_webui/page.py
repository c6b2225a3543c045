"""What Open WebUI's page asks of its server."""

import time
from typing import Any, Self
from uuid import uuid4

import httpx

from tests.live.relay import Relay

MODEL = "sonnet:chat"


class Page:
    """The page, for somebody who is signed in."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    @classmethod
    def of_new_user(cls, http: httpx.Client) -> Self:
        """Sign up; who is the first to do so is the administrator."""
        person = {"name": "Ann", "email": "ann@example.org", "password": "a-Password-1"}
        token = http.post("/api/v1/auths/signup", json=person).raise_for_status().json()["token"]
        http.headers["authorization"] = f"Bearer {token}"
        return cls(http)

    def menu(self) -> list[str]:
        """Return the models to choose from."""
        return [model["id"] for model in self._get("/api/models")["data"]]

    def verify(self, url: str) -> dict[str, Any]:
        """Press the button beside a connection."""
        found: dict[str, Any] = self._post("/openai/verify", {"url": url, "key": "unused"})
        return found

    def chat(self) -> "Chat":
        """Begin a chat."""
        return Chat(self._get, self._post)

    def _get(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()


class Chat:
    """A chat, which the server keeps; the page shows what it finds there."""

    def __init__(self, get: Any, post: Any) -> None:
        self._get = get
        self._post = post
        self._id: str | None = None
        self._parent: str | None = None
        self._said: list[dict[str, str]] = []

    def ask(self, question: str) -> dict[str, Any]:
        """Ask, and return the answer once it is done."""
        asked, answered = str(uuid4()), str(uuid4())
        self._said.append({"role": "user", "content": question})
        message = {
            "id": asked,
            "parentId": self._parent,
            "childrenIds": [],
            "role": "user",
            "content": question,
            "timestamp": int(time.time()),
            "models": [MODEL],
        }
        first_only = {"title_generation": True, "tags_generation": True} if self._id is None else {}
        body = {
            "stream": True,
            "model": MODEL,
            "messages": self._said,
            "params": {},
            "tool_servers": [],
            "features": {"image_generation": False, "code_interpreter": False, "web_search": False, "memory": False},
            "variables": {},
            "session_id": "page",
            "parent_id": self._parent,
            "user_message": message,
            "message_ids": [{"model_id": MODEL, "message_id": answered}],
            "background_tasks": {**first_only, "follow_up_generation": True},
        }
        begun = self._post("/api/chat/completions", body if self._id is None else {**body, "chat_id": self._id})
        self._id, self._parent = begun["chat_id"], answered
        Relay.wait_until(lambda: self.answer().get("done"), 30)
        self._said.append({"role": "assistant", "content": self.answer()["content"]})
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the last answer as it is now."""
        found: dict[str, Any] = self._kept()["chat"]["history"]["messages"][self._parent]
        return found

    def title(self) -> str:
        """Return the title."""
        return str(self._kept()["title"])

    def tags(self) -> list[str]:
        """Return the tags."""
        return list(self._kept()["meta"].get("tags", ()))

    def follow_ups(self) -> list[str]:
        """Return what is proposed to be asked next."""
        return list(self.answer().get("followUps", ()))

    def _kept(self) -> dict[str, Any]:
        kept: dict[str, Any] = self._get(f"/api/v1/chats/{self._id}")
        return kept
