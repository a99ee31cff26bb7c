"""Models of organs and of what flows between them, one system a file."""
