"""Finds known names of causes in texts that may contain a client's words and must not be logged. Pure."""

_NAMES = (
    *("ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "ETIMEDOUT", "EAI_AGAIN", "ConnectionRefused", "FailedToOpenSocket"),
    *(
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "DEPTH_ZERO_SELF_SIGNED_CERT",
        "CERT_HAS_EXPIRED",
    ),
    *("ENOSPC", "EROFS", "EACCES", "EPERM", "ENOENT", "EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EPIPE", "out of memory"),
)


def causes(text: str) -> str:
    """Return the known names in a text, ``-`` if there are none.

    Args:
        text: What the CLI, or the upstream through it, says.
    """
    return ", ".join(name for name in _NAMES if name in text) or "-"
