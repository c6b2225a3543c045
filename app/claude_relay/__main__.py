"""``python -m claude_relay``."""

from claude_relay.cli import main

main()
