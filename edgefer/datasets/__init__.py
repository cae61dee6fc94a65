"""Labelled faces: readers for the field's data sets, one in-memory form, a memory-mapped cache."""
