"""Who may call: what is decided, and nothing of HTTP. ``claude_relay.web.auth_middleware`` asks."""
