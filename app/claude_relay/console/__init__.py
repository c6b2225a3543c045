"""The console: a page that shows what the relay does, and what it needs beside the API."""
