"""The runner that drives the user's Claude Code CLI over stdin and stdout."""
