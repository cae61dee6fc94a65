"""Trained networks: opening, saving, walking and judging them; one module a family."""
