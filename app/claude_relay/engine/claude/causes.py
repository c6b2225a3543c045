"""What the log may repeat of texts that can hold a client's words: the known names of what can be mended. Pure."""

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
    """Return the names that stand in a text, ``-`` if there are none.

    Args:
        text: What the CLI, or the upstream through it, says.
    """
    return ", ".join(name for name in _NAMES if name in text) or "-"
