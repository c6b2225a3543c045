"""The endpoint family of ``/responses``: OpenAI's responses API, without state."""
