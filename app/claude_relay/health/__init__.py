"""Endpoint family: ``/health``."""
