"""Benching where this process does not run: what is sent, how it is followed, and the records it becomes."""
