"""The worked examples of the textbooks, for the step view: docs/textbook.md has their numbers."""

from typing import Any


def _network(sizes: list[int], activation: str, init: list[Any], rate: float) -> dict[str, Any]:
    """A network with these weights and biases, layer by layer, which trains by plain steps."""
    return {
        "hidden_layer_sizes": sizes,
        "activation": activation,
        "init": init,
        "solver": "sgd",
        "learning_rate_init": rate,
        "batch_size": 1,
    }


def _preset(
    name: str, title: str, text: str, x: list[float], target: float, network: dict[str, Any]
) -> dict[str, Any]:
    data = {"set": "points", "task": "regression", "added": [[*x, target]]}
    return {
        "id": name,
        "title": title,
        "text": text,
        "state": {"data": data, "network": network, "seed": 0},
        "x": x,
        "target": target,
    }


PRESETS = [
    _preset(
        "nine",
        "Forward: 9",
        "The inputs 2 and 3 give the hidden nodes 2 + 3 = 5 and -2 + 3 = 1, and these give the "
        "output 2 * 5 - 1 * 1 = 9. It is the target: there is no error to send back.",
        [2.0, 3.0],
        9.0,
        _network([2], "identity", [[[1, -1], [1, 1]], [0, 0], [[2], [-1]], [0]], 0.01),
    ),
    _preset(
        "sigmoid",
        "Forward: 0.905",
        "The inputs -1 and 2 give the hidden nodes the sums 3 and 9; the sigmoid makes 0.953 and "
        "0.9999 of them, and these give the output 2 * 0.953 - 0.9999 = 0.905.",
        [-1.0, 2.0],
        1.0,
        _network([2], "logistic", [[[3, 1], [3, 5]], [0, 0], [[2], [-1]], [0]], 0.1),
    ),
    _preset(
        "slope",
        "A step: [30, 40]",
        "The weights 1 and 2 make 11 of the inputs 3 and 4; the target is 6, the error 5. The "
        "slope of the squared error is 2 * 5 * [3, 4] = [30, 40]; the loss here is half of it, and "
        "so is its gradient, [15, 20]. With twice the text's rate of 0.01 the step is the same: "
        "the weights become 0.7 and 1.6, whose error is 2.5. (The text has no bias; here it moves, "
        "too.)",
        [3.0, 4.0],
        6.0,
        _network([], "identity", [[[1], [2]], [0]], 0.02),
    ),
]
