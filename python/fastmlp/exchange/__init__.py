"""Fitted networks in other runtimes and in files. No estimator class is known here but by name."""
