"""A pytest plugin that puts fastmlp's classes in the place of scikit-learn's before collection."""

import sklearn.neural_network

import fastmlp

sklearn.neural_network.MLPClassifier = fastmlp.MLPClassifier
sklearn.neural_network.MLPRegressor = fastmlp.MLPRegressor
