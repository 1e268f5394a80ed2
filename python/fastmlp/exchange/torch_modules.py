"""Activations and recurrent layers as PyTorch's modules. Imported only by `to_torch`."""

from typing import Any

import torch
from torch import nn

from fastmlp.exchange.values import Layer


class Swish(nn.Module):
    """z sigmoid(beta z)."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The neurons' outputs."""
        return z * torch.sigmoid(self.beta * z)

    def extra_repr(self) -> str:
        """What a printed module says of its parameters."""
        return f"beta={self.beta}"


class Maxout(nn.Module):
    """The largest of several weighted inputs, which lie side by side, piece after piece."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The neurons' outputs."""
        return z.unflatten(-1, (self.pieces, -1)).max(dim=-2).values

    def extra_repr(self) -> str:
        """What a printed module says of its parameters."""
        return f"pieces={self.pieces}"


class Exp(nn.Module):
    """e^z."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The outputs."""
        return torch.exp(z)


def activation(name: str, parameter: Any, pieces: int) -> nn.Module:
    """The module of an activation or a link.

    Parameters
    ----------
    name : str
    parameter : float or ndarray of shape (n_neurons,)
        The latter of 'prelu'.
    pieces : int
        Of 'maxout'.
    """
    match name:
        case "identity":
            return nn.Identity()
        case "logistic":
            return nn.Sigmoid()
        case "softmax":
            return nn.Softmax(dim=-1)
        case "exp":
            return Exp()
        case "tanh":
            return nn.Tanh()
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(parameter)
        case "prelu":
            module = nn.PReLU(len(parameter), device="meta")
            module.weight = nn.Parameter(torch.tensor(parameter))
            return module
        case "elu":
            return nn.ELU(parameter)
        case "selu":
            return nn.SELU()
        case "swish":
            return nn.SiLU() if parameter == 1 else Swish(parameter)
        case "gelu":
            return nn.GELU()
        case "mish":
            return nn.Mish()
        case "softplus":
            # linear from there on: the rest is below float64's rounding, and exp does not overflow
            return nn.Softplus(parameter, threshold=40)
        case "maxout":
            return Maxout(pieces)
    raise NotImplementedError(f"to_torch does not know the activation {name!r}.")


class Recurrent(nn.Module):
    """Recurrent layers, one above the other, and dense ones after their last step or all."""

    def __init__(self, layers: list[nn.Module], output: nn.Module, *, per_step: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.output = output
        self.per_step = per_step

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """The outputs; `lengths` are those of sequences that are padded, with zeros."""
        for layer in self.layers:
            x, _ = layer(x)
        if not self.per_step:
            x = x[:, -1] if lengths is None else x[torch.arange(len(x)), lengths - 1]
        outputs: torch.Tensor = self.output(x)
        return outputs

    def extra_repr(self) -> str:
        """What a printed module says of its parameters."""
        return f"per_step={self.per_step}"


def recurrent(layer: Layer, cell: str) -> nn.Module:
    """The module of a recurrent layer.

    Raises
    ------
    ValueError
        PyTorch has none with this activation.
    """
    known = {"elman": ("tanh", "relu"), "gru": ("tanh",)}[cell]
    if layer.activation not in known:
        raise ValueError(
            f"PyTorch's recurrent layers have the activations {', '.join(map(repr, known))} with "
            f"cell={cell!r}. Got {layer.activation!r}."
        )
    assert layer.recurrent is not None
    options: dict[str, Any] = {"batch_first": True, "device": "meta"}
    sizes = layer.weight.shape[0], layer.n_units
    module: nn.RNNBase = (
        nn.GRU(*sizes, **options)
        if cell == "gru"
        else nn.RNN(*sizes, nonlinearity=layer.activation, **options)
    )
    # an Elman layer has one bias, and PyTorch two that are added
    second = torch.zeros(layer.n_units, dtype=torch.tensor(layer.bias).dtype)
    if layer.recurrent_bias is not None:
        second = torch.tensor(layer.recurrent_bias)
    for name, values in {
        "weight_ih_l0": torch.tensor(layer.weight.T),
        "weight_hh_l0": torch.tensor(layer.recurrent.T),
        "bias_ih_l0": torch.tensor(layer.bias),
        "bias_hh_l0": second,
    }.items():
        setattr(module, name, nn.Parameter(values))
    return module
