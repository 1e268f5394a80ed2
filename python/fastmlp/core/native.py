"""The one door to the compiled module, which the check of the imports cannot see."""

from fastmlp import _native

__all__ = ["_native"]
