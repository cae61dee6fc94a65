"""Judging trained backbones: alone, as a vote, with changed copies of the images, and on a second data set."""
