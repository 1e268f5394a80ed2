"""Class docstrings with the paragraphs of the tables of parameters and attributes."""

import re
from typing import TypeVar

from fastmlp.core.rules import Attribute, Parameter, defaults_of

Class = TypeVar("Class", bound=type)

_LINE = "\n        "
_INDENTATION = re.compile(r"\n *(?=\S)")  # of the second line, and so of all

REFERENCES = """.. [1] Rumelhart, Hinton & Williams (1986). "Learning representations by
       back-propagating errors". Nature 323.
    .. [2] Kingma & Ba (2015). "Adam: A method for stochastic optimization". arXiv:1412.6980.
    .. [3] Glorot & Bengio (2010). "Understanding the difficulty of training deep feedforward
       neural networks". AISTATS.
    .. [4] Ruder (2016). "An overview of gradient descent optimization algorithms".
       arXiv:1609.04747.
    .. [5] Loshchilov & Hutter (2017). "SGDR: Stochastic gradient descent with warm restarts". ICLR.
    .. [6] Smith & Topin (2018). "Super-convergence". arXiv:1708.07120.
    .. [7] Srivastava et al. (2014). "Dropout: A simple way to prevent neural networks from
       overfitting". JMLR 15.
    .. [8] Pascanu, Mikolov & Bengio (2013). "On the difficulty of training recurrent neural
       networks". ICML."""

EFFECT = """scikit-learn's own parameters are ignored where they have no effect, as they are there.
    A parameter or value that scikit-learn lacks, not at its default, may be for another solver,
    schedule, activation or loss than the one chosen, or need something that is not given: `fit`
    then warns once and names all of them. It is an error to ask for a model, or for a look at it,
    that there cannot be: for `dropout`, `max_norm`, `clip_norm` or X_val with 'lbfgs', and in a
    classifier for `label_smoothing` with a loss, or `class_weight` with a y, that has none."""


def documented(cls: Class) -> Class:
    """Fill ``{parameters}``, ``{attributes}``, ``{effect}`` and ``{references}`` in a docstring."""
    if cls.__doc__ is None:  # python -OO
        return cls
    parameters: dict[str, Parameter] = vars(cls)["_parameters"]
    attributes: dict[str, Attribute] = vars(cls)["_attributes"]
    defaults = defaults_of(cls)
    texts = {
        "parameters": [
            _paragraph(f"{name} : {p.type}, default={default!r}", p.text)
            for name, default in defaults.items()
            for p in [parameters[name]]
        ],
        "attributes": [
            _paragraph(f"{name} : {a.type}", a.text) for name, a in attributes.items() if a.text
        ],
        "effect": [EFFECT],
        "references": [REFERENCES],
    }
    for name, paragraphs in texts.items():
        cls.__doc__ = cls.__doc__.replace(f"{{{name}}}", "\n    ".join(paragraphs))
    return cls


def _paragraph(head: str, text: str) -> str:
    """A parameter's or attribute's paragraph, whatever the indentation of its text is."""
    given = _INDENTATION.search(text)
    indented = text.replace(given[0], _LINE) if given else text
    return head + _LINE + indented
