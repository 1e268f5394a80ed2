"""Looking inside fitted networks."""

from fastmlp.inspection.gradients import check_gradients
from fastmlp.inspection.network import NetworkDisplay

__all__ = ["NetworkDisplay", "check_gradients"]
