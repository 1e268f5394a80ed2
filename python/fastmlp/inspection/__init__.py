"""Looking inside fitted networks."""

from fastmlp.inspection.curves import LossCurveDisplay
from fastmlp.inspection.gradients import check_gradients
from fastmlp.inspection.landscape import LossLandscapeDisplay
from fastmlp.inspection.network import NetworkDisplay
from fastmlp.inspection.planes import training_path
from fastmlp.inspection.steps import LayerStep, StepExplanation, explain_step

__all__ = [
    "LayerStep",
    "LossCurveDisplay",
    "LossLandscapeDisplay",
    "NetworkDisplay",
    "StepExplanation",
    "check_gradients",
    "explain_step",
    "training_path",
]
