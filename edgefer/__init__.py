"""Takes a trained facial-expression backbone to a device and proves that it still works there."""

__version__ = "0.1.0"
