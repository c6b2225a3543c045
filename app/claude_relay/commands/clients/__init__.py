"""Settings of clients, for ``claude-relay clients`` and docs/clients: a module for each kind, and a catalog of all."""
