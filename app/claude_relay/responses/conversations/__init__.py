"""Conversations: items that are kept together, which requests for responses belong to."""
