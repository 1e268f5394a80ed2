"""The activations as PyTorch's modules, and those that it lacks. Imported only by `to_torch`."""

from typing import Any

import torch
from torch import nn


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
