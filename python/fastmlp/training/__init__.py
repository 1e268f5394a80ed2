"""The training loop: epochs and iterations, data, schedules, and what watches a fit."""
