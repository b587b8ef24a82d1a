"""Kills whole runs of `haven run` at random moments, and checks that nothing is left over and nothing lost."""
