"""Endpoint family: ``/models`` and ``/models/{id}``."""
