"""Network architectures that recipes name, one file a family; the registry finds their ``FAMILIES``."""
