"""Looking inside fitted networks."""

from fastmlp.inspection.gradients import check_gradients
from fastmlp.inspection.network import NetworkDisplay
from fastmlp.inspection.steps import LayerStep, StepExplanation, explain_step

__all__ = ["LayerStep", "NetworkDisplay", "StepExplanation", "check_gradients", "explain_step"]
