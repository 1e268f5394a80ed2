"""Runs what nvcc compiled without a GPU: an interpreter of the PTX that kernels are made of.

All threads of all blocks run together as elements of NumPy arrays. The threads at the lowest
instruction go first, so that branches meet again. An error is: an access that is misaligned, out of
bounds or to what was never written, a trap, an atomic operation, a barrier or shuffle that not all
of its threads come to, and an instruction that is not known here. Not seen are races: whatever one
thread stores, the others see at once.
"""

from tests.ptx.code import Module
from tests.ptx.machine import Machine
from tests.ptx.memory import Fault

__all__ = ["Fault", "Machine", "Module"]
