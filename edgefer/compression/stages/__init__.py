"""The stages a backbone can go through, one file each; found by walking this package."""
