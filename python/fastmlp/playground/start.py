"""The playground from a script, a notebook or the command line."""

import sys
from typing import Any, Self

from fastmlp.playground.own_table import OwnTable
from fastmlp.playground.server import Server


class Playground:
    """A playground that is open; `run` returns it.

    Parameters
    ----------
    server : Server
        What serves it.

    Attributes
    ----------
    url : str
        The address of the page, which only this machine reaches, and which holds a token.

    Examples
    --------
    >>> import fastmlp.playground
    >>> with fastmlp.playground.run(open_browser=False, block=False) as playground:
    ...     playground.url.partition("#")[0]
    Playground: http://127.0.0.1:...
    'http://127.0.0.1:.../'
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = server.url

    def close(self) -> None:
        """End it. Pages that are open say so.

        Examples
        --------
        >>> import fastmlp.playground
        >>> playground = fastmlp.playground.run(open_browser=False, block=False)
        Playground: http://127.0.0.1:...
        >>> playground.close()
        """
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def run(
    X: Any = None,
    y: Any = None,
    *,
    estimator: Any = None,
    port: int = 0,
    open_browser: bool = True,
    block: bool | None = None,
) -> Playground:
    """Open the playground: a page on which a network is seen while it learns.

    It is served to this machine alone, and shows data sets of the plane, handwritten digits, and X
    and y if they are given.

    Parameters
    ----------
    X : data frame, or array-like of shape (n_samples, n_features), default=None
        Your own table: numbers, booleans, text, categories, dates; cells may be missing.
    y : array-like of shape (n_samples,), default=None
        Its targets: class labels or values.
    estimator : MLPClassifier, MLPRegressor or Pipeline that ends with one, default=None
        Fitted on X and y: the network begins with its weights and parameters. It stays as it is.
    port : int, default=0
        The port to serve on; 0 is any that is free.
    open_browser : bool, default=True
        Whether to show the page in the browser.
    block : bool, default=None
        Whether to return only after Ctrl-C. None: not in a notebook or an interactive session,
        where it goes on until `close` is called.

    Returns
    -------
    Playground
        With the address of the page, and a way to close it.

    Raises
    ------
    ValueError, TypeError
        X, y or the estimator cannot be used.
    OSError
        The port is taken.

    Examples
    --------
    >>> import fastmlp.playground
    >>> playground = fastmlp.playground.run(open_browser=False, block=False)
    Playground: http://127.0.0.1:...
    >>> playground.close()
    """
    if (X is None) != (y is None):
        raise ValueError(f"X and y go together. Got {'X' if y is None else 'y'} alone.")
    if estimator is not None and X is None:
        raise ValueError("estimator needs X and y, which it was fitted on.")
    own = None if X is None else OwnTable(X, y, estimator=estimator)
    return serve(own, port=port, open_browser=open_browser, block=block)


def serve(own: OwnTable | None, *, port: int, open_browser: bool, block: bool | None) -> Playground:
    """Serve the page, with a table or without."""
    server = Server(own, port)
    print(f"Playground: {server.url}", flush=True)
    if open_browser:
        server.open_browser()
    if block is None:
        block = not hasattr(sys, "ps1") and "ipykernel" not in sys.modules
    if not block:
        server.start()
        return Playground(server)
    print("Ctrl-C ends it.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("\nThe playground has ended.")
    finally:
        server.server_close()
    return Playground(server)
