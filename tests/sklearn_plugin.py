"""A pytest plugin that puts fastmlp's classes in the place of scikit-learn's before collection."""

import numpy as np
import pytest
import sklearn.neural_network

import fastmlp

sklearn.neural_network.MLPClassifier = fastmlp.MLPClassifier
sklearn.neural_network.MLPRegressor = fastmlp.MLPRegressor


@pytest.fixture(autouse=True)
def seeded():
    """Many of these tests give no seed."""
    np.random.seed(0)  # noqa: NPY002
