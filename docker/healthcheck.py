"""Exit with 0 when the relay in this container says that it is well, with 1 and one line when it does not."""

# ruff: noqa: INP001 - a script for the image, not a package

import json
import os
import sys
import urllib.request

URL = f"http://127.0.0.1:{os.environ.get('CLAUDE_RELAY_PORT') or 8082}/health"


def problem() -> str | None:
    """Return what is wrong, or None."""
    # no proxy, whatever the environment says: this is a call to the same container
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(URL, timeout=4) as response:
            health = json.load(response)
    except (OSError, ValueError) as error:
        return f"{URL}: {error}"
    if isinstance(health, dict) and health.get("status") == "ok":
        return None
    return f"{URL}: {health}"


if __name__ == "__main__":
    sys.exit(problem())
