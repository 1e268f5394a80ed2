"""``python -m benchmarks.gpu``: a training step on a GPU, beside PyTorch's and the card's limits.

Data are on the card, Adam, ReLU, shuffled mini-batches. PyTorch trains in three ways: eager; with
the forward and backward pass by ``torch.compile``; and with whole epochs, optimizer included, in a
CUDA graph that is replayed. The libraries take turns, and the best of several rounds counts. The
floors are the operations of back-propagation over the rate of torch's own products, and the bytes
that Adam cannot but move over the rate of torch's copies, both measured in the same run.
"""

import argparse
import itertools
import json
import platform
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fastmlp
from benchmarks.cases import Case
from benchmarks.peers import torch_network
from fastmlp import _native

CASES = [
    Case("tab", 10_000, (20, 100, 2), 200),
    Case("digits", 10_000, (64, 100, 10), 200),
    Case("deep", 10_000, (64, 64, 64, 64, 64, 10), 200),
    Case("mnist", 10_000, (784, 100, 10), 200),
    Case("mnist2", 10_240, (784, 512, 512, 10), 256),
    Case("wide", 8_192, (784, 2048, 2048, 10), 1024),
]
NARROW = {"tab", "digits", "deep"}  # for them there is float32 only
PRECISIONS = ("float32", "tf32", "bfloat16")
# what the project aims at: how many times longer the other takes, or the share of the product floor
AIMS: dict[tuple[str, str], dict[str, float]] = {
    ("tab", "float32"): {"eager": 10, "graph": 2},
    ("digits", "float32"): {"eager": 10, "graph": 2},
    ("deep", "float32"): {"eager": 10, "graph": 2},
    ("mnist2", "float32"): {"compile": 1.5},
    ("wide", "tf32"): {"products": 0.85},
}
OTHERS = ("eager", "compile", "graph")
Epochs = Callable[[int], None]  # makes so many, and waits for the last


def per_epoch(case: Case) -> int:
    """Steps of an epoch: the rows are whole batches."""
    return case.rows // case.batch


class Torch:
    """PyTorch's training of a case: a network, its optimizer and the data, all on the device."""

    def __init__(self, case: Case, device: str, precision: str) -> None:
        import torch

        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        X, y = case.data()
        self.X, self.y = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
        self.batch, self.device = case.batch, device
        self.bfloat16 = precision == "bfloat16"
        self.network = torch_network(case.units).to(device)
        on_card = device == "cuda"
        self.optimizer = torch.optim.Adam(self.network.parameters(), fused=True, capturable=on_card)
        self.loss = self.forward

    def forward(self, rows: Any) -> Any:
        """The loss of some rows."""
        import torch

        with torch.autocast(self.device, torch.bfloat16, self.bfloat16, cache_enabled=False):
            return torch.nn.functional.cross_entropy(self.network(self.X[rows]), self.y[rows])

    def step(self, rows: Any) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(rows).backward()
        self.optimizer.step()

    def new_order(self) -> Any:
        import torch

        return torch.randperm(len(self.X), device=self.device)

    def epochs(self, n: int) -> None:
        for _ in range(n):
            for rows in self.new_order().split(self.batch):
                self.step(rows)
        synchronize(self.device)


def eager(case: Case, device: str, precision: str) -> Epochs:
    """As most people train, with fused Adam."""
    return Torch(case, device, precision).epochs


def compiled(case: Case, device: str, precision: str) -> Epochs:
    """With the forward and the backward pass compiled."""
    import torch

    training = Torch(case, device, precision)
    training.loss = torch.compile(training.forward)
    return training.epochs


def graph(case: Case, device: str, precision: str) -> Epochs:
    """With all steps of an epoch in a CUDA graph: a new order and a replay are all that is left."""
    import torch

    training = Torch(case, device, precision)
    order = training.new_order()
    batches = order.split(case.batch)
    aside = torch.cuda.Stream()  # as PyTorch's manual has it: warm up there, then capture
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for rows in batches[:3]:
            training.step(rows)
    torch.cuda.current_stream().wait_stream(aside)
    captured = torch.cuda.CUDAGraph()
    training.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(captured):
        for rows in batches:
            training.step(rows)

    def epochs(n: int) -> None:
        for _ in range(n):
            order.copy_(training.new_order())
            captured.replay()
        synchronize(device)

    return epochs


def ours(case: Case, device: str, precision: str) -> Epochs:
    """fastmlp's epochs, as `fit` makes them: one call each, with a new order of the rows."""
    X, y = case.data()
    rng = np.random.default_rng(0)
    blocks = []
    for n, m in itertools.pairwise(case.units):
        blocks += [rng.standard_normal((n, m), np.float32) / np.sqrt(n, dtype=np.float32)]
        blocks += [np.zeros(m, np.float32)]
    engine = _native.engine(device)
    network = _native.Network32(
        list(case.units), [("relu", 0.0, 1, 0.0)] * (len(case.units) - 2), "log_loss", alpha=0.0,
        batch=case.batch, precision=precision, engine=engine,
    )  # fmt: skip
    network.write(0, blocks)
    held = _native.Samples32(
        X, y.astype(np.int32), features=case.units[0], outputs=case.units[-1], engine=engine
    )
    order = np.arange(case.rows)
    made = 0

    def epochs(n: int) -> None:
        nonlocal made
        for _ in range(n):
            _native.shuffle(order, made)
            network.train(
                held, order=order, solver="adam", steps=made, rate=1e-3, beta_1=0.9, beta_2=0.999,
                epsilon=1e-8, n_threads=1,
            )  # fmt: skip
            made += per_epoch(case)

    return epochs


def fit_seconds(case: Case, device: str, precision: str, epochs: int) -> float:
    """A step of a whole `fit`, with all that Python does and the way of X to the card."""
    X, y = case.data()
    where: dict[str, Any] = {} if device == "cpu" else {"device": device, "precision": precision}
    model = fastmlp.MLPClassifier(
        case.units[1:-1], batch_size=case.batch, max_iter=epochs, n_iter_no_change=epochs + 1,
        alpha=0.0, random_state=0, **where,
    )  # fmt: skip
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    return (time.perf_counter() - start) / (epochs * per_epoch(case))


def synchronize(device: str) -> None:
    """Wait until the device has done all that PyTorch gave it."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def seconds_of(epochs: Epochs, n: int, case: Case) -> float:
    """Of a step, in `n` epochs; on the host's clock, which fastmlp and PyTorch have in common."""
    start = time.perf_counter()
    epochs(n)
    return (time.perf_counter() - start) / (n * per_epoch(case))


def measure(
    case: Case, device: str, precision: str, others: tuple[str, ...], rounds: int, span: float
) -> dict[str, float]:
    """Best seconds of a step of each library, in turns of about `span` seconds each."""
    makers = {"fastmlp": ours, "eager": eager, "compile": compiled, "graph": graph}
    runs: dict[str, tuple[Epochs, int]] = {}
    for name in ("fastmlp", *others):
        epochs = makers[name](case, device, precision)
        epochs(1)  # whatever is compiled or allocated at first
        runs[name] = epochs, max(1, round(span / (seconds_of(epochs, 1, case) * per_epoch(case))))
    best = dict.fromkeys(runs, np.inf)
    for _ in range(rounds):
        for name, (epochs, n) in runs.items():
            best[name] = min(best[name], seconds_of(epochs, n, case))
    fit = [fit_seconds(case, device, precision, runs["fastmlp"][1]) for _ in range(rounds)]
    return {**best, "fit": min(fit)}


# --- what the card can do ------------------------------------------------------------------------


def probe(device: str, size: int, megabytes: int) -> dict[str, float]:
    """Operations per second of torch's products in each precision, and bytes of its copies."""
    import torch

    def best(run: Callable[[], Any]) -> float:
        run()
        seconds = []
        for _ in range(5):
            synchronize(device)
            start = time.perf_counter()
            for _ in range(5):
                run()
            synchronize(device)
            seconds.append((time.perf_counter() - start) / 5)
        return min(seconds)

    rates = {}
    for precision in PRECISIONS:
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        a, b = torch.randn(2, size, size, device=device, dtype=dtype)
        rates[precision] = 2 * size**3 / best(partial(torch.matmul, a, b))
    source = torch.empty(megabytes << 18, device=device)
    target = torch.empty_like(source)
    rates["bytes"] = 2 * (megabytes << 20) / best(lambda: target.copy_(source))
    return rates


def floors(case: Case, precision: str, rates: dict[str, float]) -> dict[str, float]:
    """Seconds of a step that the card's rates allow: of its products, and of its memory.

    Parameters and both moments are read and written. Where they fit into the card's cache, less of
    it goes to memory: so of the smaller networks the second is no floor.
    """
    sizes = [n * m for n, m in itertools.pairwise(case.units)]
    parameters = sum(sizes) + sum(case.units[1:])
    operations = case.batch * (6 * sum(sizes) - 2 * sizes[0])
    return {"products": operations / rates[precision], "memory": 24 * parameters / rates["bytes"]}


# --- what is told --------------------------------------------------------------------------------


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Times of a step in Markdown, and the aims beside what was measured."""
    ratios = [f"{name} / fastmlp" for name in OTHERS]
    shares = ["of the products' rate", "of the memory's rate"]
    head = ["case", "precision", "fastmlp, us", "fit, us", *ratios, *shares, "aims"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        seconds, own = row["seconds"], row["seconds"]["fastmlp"]
        cells = [row["case"], row["precision"], f"{own * 1e6:.1f}", f"{seconds['fit'] * 1e6:.1f}"]
        cells += [f"{seconds[name] / own:.2f}" if name in seconds else "" for name in OTHERS]
        cells += [f"{row['floors'][name] / own:.0%}" for name in ("products", "memory")]
        lines.append("| " + " | ".join([*cells, "; ".join(verdicts(row))]) + " |")
    return lines


def verdicts(row: dict[str, Any]) -> list[str]:
    """Each aim for this row, and whether it is reached."""
    words = []
    for name, aim in AIMS.get((row["case"], row["precision"]), {}).items():
        own = row["seconds"]["fastmlp"]
        if name == "products":
            reached, what = row["floors"][name] / own, f"{aim:.0%} of the products' rate"
            found = f"{reached:.0%}"
        elif name in row["seconds"]:
            reached, what = row["seconds"][name] / own, f"{aim} x {name}"
            found = f"{reached:.1f} x"
        else:
            words.append(f"{aim} x {name}: not measured")
            continue
        words.append(f"{what}: {found}, {'reached' if reached >= aim else 'MISSED'}")
    return words


def card_name(device: str) -> str:
    """What the device calls itself."""
    if device == "cpu":
        return "cpu"
    import torch

    return str(torch.cuda.get_device_name())


def report(
    cases: list[Case],
    device: str,
    others: tuple[str, ...],
    rounds: int,
    folder: Path,
    span: float = 0.3,
    size: int = 8192,
    megabytes: int = 1024,
) -> None:
    """Measure, print, and write gpu-<card>.json into the folder."""
    import torch

    rates = probe(device, size, megabytes)
    rows: list[dict[str, Any]] = []
    for case in cases:
        for precision in PRECISIONS[: 1 if case.name in NARROW else None]:
            seconds = measure(case, device, precision, others, rounds, span)
            rows.append(
                {"case": case.name, "units": case.units, "batch": case.batch,
                 "precision": precision, "seconds": seconds,
                 "floors": floors(case, precision, rates)}
            )  # fmt: skip
            print(case.name, precision, {k: f"{s * 1e6:.1f} us" for k, s in seconds.items()})
    result = {
        "card": card_name(device), "torch": torch.__version__, "cuda": torch.version.cuda,
        "fastmlp": fastmlp.__version__, "built with": _native.BUILD["cuda"],
        "python": platform.python_version(), "rounds": rounds, "rates": rates, "rows": rows,
    }  # fmt: skip
    print(f"\n{result['card']}, PyTorch {torch.__version__}, best of {rounds} rounds.")
    print("Rates:", ", ".join(f"{name} {rate:.3g}/s" for name, rate in rates.items()), "\n")
    print(*table(rows), sep="\n")
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join(card_name(device).lower().split())
    (folder / f"gpu-{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    """Measure on the GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--cases", nargs="+", help="names; default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        parser.exit(1, "PyTorch finds no GPU.\n")
    cases = [case for case in CASES if not arguments.cases or case.name in arguments.cases]
    report(cases, "cuda", OTHERS, arguments.rounds, arguments.output)


if __name__ == "__main__":
    main()
