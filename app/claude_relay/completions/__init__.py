"""Endpoint family: ``/completions``."""
