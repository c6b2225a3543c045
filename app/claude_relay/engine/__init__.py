"""What we run. Nothing in here knows HTTP, Litestar or OpenAI's words."""
