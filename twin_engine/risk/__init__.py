"""Published risk equations, one a file."""
