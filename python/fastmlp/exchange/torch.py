"""Fitted networks as PyTorch modules."""

from typing import Any

from fastmlp.exchange.values import FittedNetwork, Layer


class TorchMixin:
    """Networks that can be made PyTorch modules."""

    def _fitted_network(self) -> FittedNetwork:
        raise NotImplementedError

    def to_torch(self, *, logits: bool = False) -> Any:
        """Make a PyTorch module of the fitted network.

        Parameters
        ----------
        logits : bool, default=False
            Whether to leave out the activation of the output layer, `out_activation_`.

        Returns
        -------
        torch.nn.Sequential, or torch.nn.Module of a recurrent network
            From (N, n_features) to (N, n_outputs): a linear layer and an activation in turn, on
            copies of the parameters and in their type. Of a recurrent network from (N, n_steps,
            n_features), and as a second argument the lengths (N,) of padded sequences, if any: a
            ``torch.nn.RNN`` or ``torch.nn.GRU`` for each hidden layer, and then the output layer,
            on the state after the last step or on all of them, as in training. Its outputs are a
            regressor's predictions, an autoencoder's reconstructions (the first half of the modules
            makes the codes) and a classifier's probabilities; with two classes only that of
            ``classes_[1]``, with ``loss='squared_error'`` not divided by their sum, with 'hinge'
            and 'perceptron' the scores. It has no dropout.

        Raises
        ------
        ImportError
            The package torch is not installed.
        NotFittedError
            The estimator is not fitted.
        ValueError
            The weights are not finite or do not fit each other; or recurrent layers have another
            activation than PyTorch's, which are 'tanh' and with ``cell='elman'`` also 'relu'.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> module = clf.to_torch()  # doctest: +SKIP
        >>> module  # doctest: +SKIP
        Sequential(
          (0): Linear(in_features=4, out_features=10, bias=True)
          (1): ReLU()
          (2): Linear(in_features=10, out_features=3, bias=True)
          (3): Softmax(dim=1)
        )
        """
        network = self._fitted_network()
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise ImportError("to_torch needs the package torch.") from error
        from fastmlp.exchange import torch_modules

        if network.cell:
            layers, output = network.layers[:-1], network.layers[-1:]
            return torch_modules.Recurrent(
                [torch_modules.recurrent(layer, network.cell) for layer in layers],
                _dense(output, logits=logits),
                per_step=network.per_step,
            )
        return _dense(network.layers, logits=logits)


def _dense(layers: list[Layer], *, logits: bool) -> Any:
    """Linear layers and activations in turn; with `logits` without the last."""
    import torch

    from fastmlp.exchange import torch_modules

    modules: list[Any] = []
    for layer in layers:
        # the weights first drawn here would change torch's random state
        linear = torch.nn.Linear(*layer.weight.shape, device="meta")
        linear.weight = torch.nn.Parameter(torch.tensor(layer.weight.T))
        linear.bias = torch.nn.Parameter(torch.tensor(layer.bias))
        modules += [
            linear,
            torch_modules.activation(layer.activation, layer.parameter, layer.pieces),
        ]
    return torch.nn.Sequential(*(modules[:-1] if logits else modules))
