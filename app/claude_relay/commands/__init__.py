"""What the commands do that are more than starting the server; ``cli`` has their names and options."""
