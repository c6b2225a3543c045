"""Endpoint family: ``/messages``, Anthropic's API, and ``/messages/count_tokens``."""
