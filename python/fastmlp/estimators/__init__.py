"""The estimators, in scikit-learn's contract. Users import them from `fastmlp`."""
