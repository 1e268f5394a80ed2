"""Looking inside fitted networks."""

from fastmlp.inspection.gradients import check_gradients

__all__ = ["check_gradients"]
