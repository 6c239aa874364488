"""Serve directories, from configuration alone."""
