"""The processes that are measured; each runs in its peer's environment."""
