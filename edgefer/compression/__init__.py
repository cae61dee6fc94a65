"""Compression: stages that make a smaller or faster backbone of a backbone, one file a stage below ``stages``."""
