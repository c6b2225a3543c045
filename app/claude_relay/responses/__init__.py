"""The endpoint family of ``/responses``: OpenAI's responses API, whose responses are kept if there is a store."""
