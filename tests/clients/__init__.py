"""Live tests with the clients that people use, against the real CLI and our fake upstream.

They need the dependency group ``clients``, and ``node`` and ``npm``, so the plain test run leaves them out.
"""
