"""Looking inside fitted networks."""

from fastmlp.inspection.activations import ActivationDisplay
from fastmlp.inspection.curves import LossCurveDisplay
from fastmlp.inspection.diagnosis import diagnose
from fastmlp.inspection.feature_plane import plane
from fastmlp.inspection.findings import Finding
from fastmlp.inspection.gradient_flow import GradientFlowDisplay
from fastmlp.inspection.gradients import check_gradients
from fastmlp.inspection.landscape import LossLandscapeDisplay
from fastmlp.inspection.network import NetworkDisplay
from fastmlp.inspection.planes import training_path
from fastmlp.inspection.steps import LayerStep, StepExplanation, explain_step
from fastmlp.inspection.units import UnitsDisplay
from fastmlp.inspection.weights import WeightsDisplay

__all__ = [
    "ActivationDisplay",
    "Finding",
    "GradientFlowDisplay",
    "LayerStep",
    "LossCurveDisplay",
    "LossLandscapeDisplay",
    "NetworkDisplay",
    "StepExplanation",
    "UnitsDisplay",
    "WeightsDisplay",
    "check_gradients",
    "diagnose",
    "explain_step",
    "plane",
    "training_path",
]
