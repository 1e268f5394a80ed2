"""A page on which a network is seen while it learns, served to this machine alone.

:func:`run` opens it. What it copies out as Python uses :func:`make_data`, :func:`split_table` and
:class:`TrainingSession`.
"""

from fastmlp.estimators.session import TrainingSession
from fastmlp.playground.datasets import make_data
from fastmlp.playground.own_table import split_table
from fastmlp.playground.start import Playground, run

__all__ = ["Playground", "TrainingSession", "make_data", "run", "split_table"]
