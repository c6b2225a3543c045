"""What outlives a request: responses, conversations, logs of events, idempotency keys and counters."""
