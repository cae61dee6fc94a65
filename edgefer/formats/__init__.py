"""Formats: one module a container, each declaring its precisions."""
