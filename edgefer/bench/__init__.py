"""Measuring: targets, timing, cold start, scores, and the RunRecord they end in."""
