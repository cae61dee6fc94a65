"""Training: from a recipe and labelled faces to a backbone and the record of the run."""
