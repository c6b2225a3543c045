"""Endpoint family: ``/metrics``."""
