"""twin_engine."""
