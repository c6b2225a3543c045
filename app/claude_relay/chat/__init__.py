"""Endpoint family: ``/chat/completions``."""
