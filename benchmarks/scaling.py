"""Ranks, and larger batches: what data-parallel training costs and gains; see docs/scaling.md.

    OMP_NUM_THREADS=1 mpiexec -n K python -m benchmarks.scaling steps   # K = 1, 2, 4
    mpiexec -n K python -m benchmarks.scaling messages                  # K = 2, 4
    python -m benchmarks.scaling batches MNIST                          # a folder of IDX files
    python -m benchmarks.scaling report                                 # fits the model, draws

Each adds what it measured to results/scaling.json; `report` prints the tables of docs/scaling.md
and writes its picture.
"""

import argparse
import json
import time
import warnings
from itertools import pairwise
from math import log2, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning

import fastmlp
from benchmarks.cases import mnist
from fastmlp import MLPClassifier
from fastmlp.inspection.style import COLORS
from fastmlp.training.communicators import MpiCommunicator

RESULTS = Path(__file__).parent / "results" / "scaling.json"
PICTURE = Path(__file__).parent / "results" / "scaling.png"

# features, hidden layers, outputs; the rows of a rank in a step
NETWORKS = {
    "small": ((64, 100, 10), 128),
    "medium": ((784, 256, 10), 256),
    "large": ((784, 2048, 2048, 10), 256),
}
LARGER = (1, 2, 4, 8, 16)  # batches
BASE_BATCH, BASE_RATE, EPOCHS, SEEDS = 128, 0.1, 8, 2


def keep(name: str, value: Any) -> None:
    """Add a result to the file."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[name] = value
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def n_bytes(units: tuple[int, ...]) -> int:
    """Of the gradient, in float32."""
    return 4 * sum((n + 1) * m for n, m in pairwise(units))


def operations(units: tuple[int, ...]) -> float:
    """Floating-point operations of a step for one row: no gradient of X is needed."""
    products = [2.0 * n * m for n, m in pairwise(units)]
    return 3 * sum(products) - products[0]


# --- measuring -----------------------------------------------------------------------------------


def clocks() -> tuple[float, float]:
    """Seconds on the wall, and of the processor that this process has taken."""
    return time.perf_counter(), time.process_time()


class TimedCommunicator:
    """MPI with a note of when each call began and ended, and of how many bytes it was."""

    def __init__(self, comm: Any) -> None:
        self.mpi = MpiCommunicator(comm)
        self.rank, self.size = self.mpi.rank, self.mpi.size
        self.calls: list[tuple[Any, Any, int]] = []

    def allreduce(self, numbers: Any) -> Any:
        began = clocks()
        numbers = self.mpi.allreduce(numbers)
        self.calls.append((began, clocks(), numbers.nbytes))
        return numbers

    def bcast(self, value: Any, root: int) -> Any:
        return self.mpi.bcast(value, root)

    def steps(self, n_bytes: int) -> dict[str, list[float]]:
        """Seconds of each step: computing, waiting for the others, summing up.

        A step's sum comes after the ranks' word that all have come so far. Computing is counted on
        the processor's clock, which stands still while others have the core, for one thread.
        """
        sums = [i for i, call in enumerate(self.calls) if call[2] >= n_bytes]
        found: dict[str, list[float]] = {"compute": [], "wait": [], "sum": []}
        for before, i in pairwise(sums):
            if i == before + 2:  # else an epoch has ended
                word, total = self.calls[i - 1], self.calls[i]
                found["compute"].append(word[0][1] - self.calls[before][1][1])
                found["wait"].append(word[1][0] - word[0][0])
                found["sum"].append(total[1][0] - total[0][0])
        return found


def steps() -> None:
    """Time per step of each network, on so many ranks, each with its rows: best and median."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    found: dict[str, Any] = {}
    for name, (units, rows) in NETWORKS.items():
        for batch in (rows, 4 * rows) if world.size == 1 else (rows,):
            n_steps = int(np.clip(4e10 / (operations(units) * batch), 8, 200))
            rng = np.random.default_rng(world.rank)
            X = rng.standard_normal((batch * n_steps, units[0]), np.float32)
            y = rng.integers(units[-1], size=len(X))
            clf = MLPClassifier(units[1:-1], batch_size=batch, max_iter=3, random_state=0)
            comm = TimedCommunicator(world)
            with warnings.catch_warnings(), fastmlp.distributed(comm):
                warnings.simplefilter("ignore", ConvergenceWarning)
                clf.fit(X, y)
            spent = comm.steps(n_bytes(units)).items()
            found[f"{name}, {batch} rows"] = {
                part: [min(seconds), float(np.median(seconds))] for part, seconds in spent
            }
    if world.rank == 0:
        keep(f"steps on {world.size}", found)


def messages() -> None:
    """Seconds of a sum over all ranks, by its bytes: the best of many."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    comm = MpiCommunicator(world)
    found = {}
    for n in (8, 512, 4096, 32768, 262144, 2**21):
        numbers = np.ones(max(n // 4, 2), np.float32)
        best = np.inf
        for _ in range(int(np.clip(2**26 / n, 10, 300))):
            world.Barrier()
            began = time.perf_counter()
            comm.allreduce(numbers)
            best = min(best, time.perf_counter() - began)
            numbers[:] = 1
        found[n] = world.allreduce(best, MPI.MAX)
    if world.rank == 0:
        keep(f"messages on {world.size}", found)


def batches(folder: Path) -> None:
    """Accuracy on MNIST's test images by the batch, and by what is done to the learning rate."""
    (X, y), (X_test, y_test) = mnist(folder, "train"), mnist(folder, "t10k")
    X, X_test = X.astype(np.float32) / 255, X_test.astype(np.float32) / 255
    found: dict[str, dict[int, list[float]]] = {}
    warnings.simplefilter("ignore", ConvergenceWarning)
    for seed in range(SEEDS):
        for k in LARGER:
            for rule, rate, warmup in (
                ("the same rate", BASE_RATE, 0),
                ("rate x k", BASE_RATE * k, 0),
                ("rate x k, warm-up", BASE_RATE * k, 2),
                ("rate x sqrt(k), warm-up", BASE_RATE * sqrt(k), 2),
            ):
                clf = MLPClassifier(
                    (100,), solver="sgd", learning_rate="cosine", learning_rate_init=rate,
                    warmup_epochs=warmup, batch_size=BASE_BATCH * k, max_iter=EPOCHS, tol=0,
                    n_iter_no_change=EPOCHS, alpha=0, random_state=seed,
                ).fit(X, y)  # fmt: skip
                found.setdefault(rule, {}).setdefault(k, []).append(clf.score(X_test, y_test))
                print(f"{rule}, k={k}, seed {seed}: {found[rule][k][-1]:.4f}", flush=True)
        keep("batches", found)


# --- the model -----------------------------------------------------------------------------------

# alpha, the seconds of a message without content, and beta, bytes per second: nine tenths of the
# line's, and what small messages take there with the protocols that are usual
INTERCONNECTS = {
    "10 GbE": (3e-5, 1.1e9),
    "100 GbE": (5e-6, 11e9),
    "InfiniBand HDR": (2e-6, 22e9),
}
CORES = 16  # of a rank, on paper
ROWS = 1024


def sum_seconds(ranks: float, size: float, alpha: float, beta: float) -> float:
    """Of a sum over all ranks, by recursive halving and doubling (Rabenseifner, ICCS 2004)."""
    return 2 * log2(ranks) * alpha + 2 * (ranks - 1) / ranks * size / beta


def fitted_alpha_beta(results: Any) -> tuple[float, float]:
    """Those of this machine's memory, by the best sums of two ranks: relative errors count."""
    found = [(int(n), t) for n, t in results["messages on 2"].items()]
    for name, (units, rows) in NETWORKS.items():
        found.append((n_bytes(units), results["steps on 2"][f"{name}, {rows} rows"]["sum"][0]))
    sizes, seconds = np.array(found).T
    rows = np.stack([2 * np.ones_like(sizes), sizes], 1) / seconds[:, None]
    (alpha, per_byte), _ = nnls(rows, np.ones_like(seconds))
    return alpha, 1 / per_byte


def compute_seconds(results: Any, name: str) -> tuple[float, float]:
    """Of a step on one core: for all weights (the update), and for each row."""
    rows = NETWORKS[name][1]
    few, many = (
        results["steps on 1"][f"{name}, {batch} rows"]["compute"][0] for batch in (rows, 4 * rows)
    )
    per_row = (many - few) / (3 * rows)
    return max(few - rows * per_row, 0.0), per_row


def busiest(ranks: int, rows: int) -> float:
    """The rows of the rank that has most of a shuffled batch: so long a step takes."""
    drawn = np.random.default_rng(0).binomial(ranks * rows, 1 / ranks, (200, ranks))
    return float(drawn.max(axis=1).mean()) if ranks > 1 else rows


def step(
    results: Any, name: str, ranks: int, line: tuple[float, float], *, overlap: bool = False
) -> float:
    """Seconds of a step on so many ranks of `CORES` cores, each with about `ROWS` rows."""
    update, per_row = (seconds / CORES for seconds in compute_seconds(results, name))
    compute = update + per_row * busiest(ranks, ROWS)
    if ranks == 1:
        return compute
    total = sum_seconds(ranks, n_bytes(NETWORKS[name][0]), *line)
    if overlap:  # behind the way back, two thirds of the rows' time
        total = max(0.0, total - 2 / 3 * per_row * ROWS)
    return compute + sum_seconds(ranks, 32, *line) + total


def report() -> None:
    """Print the tables of docs/scaling.md, and draw its picture."""
    results = json.loads(RESULTS.read_text())
    alpha, beta = fitted_alpha_beta(results)
    print(f"alpha = {1e6 * alpha:.1f} us, beta = {beta / 1e9:.2f} GB/s\n")
    print("| network | ranks | computing | waiting | summing up | the model's sum |")
    print("|---|---|---|---|---|---|")
    for name, (units, rows) in NETWORKS.items():
        for ranks in (1, 2, 4):
            spent = results[f"steps on {ranks}"][f"{name}, {rows} rows"]
            seconds = [spent[part][0] for part in ("compute", "wait", "sum")]
            seconds.append(sum_seconds(ranks, n_bytes(units), alpha, beta))
            cells = " | ".join(f"{1e3 * t:.3g} ms" for t in seconds)
            print(f"| {'-'.join(map(str, units))} | {ranks} | {cells} |")
    print("\n| network | interconnect | 2 | 16 | 64 | 256 | 256, overlapped |")
    print("|---|---|---|---|---|---|---|")
    for name, (units, _) in NETWORKS.items():
        for line, values in INTERCONNECTS.items():
            alone = step(results, name, 1, values)
            shares = [alone / step(results, name, ranks, values) for ranks in (2, 16, 64, 256)]
            shares.append(alone / step(results, name, 256, values, overlap=True))
            cells = " | ".join(f"{share:.0%}" for share in shares)
            print(f"| {'-'.join(map(str, units))} | {line} | {cells} |")
    print(f"\nThe busiest of 256 ranks has {busiest(256, ROWS):.0f} rows.")
    update, per_row = compute_seconds(results, "large")
    print(f"large: {1e3 * update:.1f} ms + {1e6 * per_row:.1f} us per row on one core")
    print("\n| k | " + " | ".join(results["batches"]) + " |")
    for k in LARGER:
        scores = [np.mean(found[str(k)]) for found in results["batches"].values()]
        print(f"| {k} | " + " | ".join(f"{100 * score:.2f}" for score in scores) + " |")
    draw(results)


def draw(results: Any) -> None:
    """Time per step, efficiency on paper, accuracy."""
    from matplotlib.figure import Figure

    figure = Figure((12, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    labels, bottom = [], np.zeros(9)
    parts: dict[str, list[float]] = {"compute": [], "wait": [], "sum": []}
    for name, (_, rows) in NETWORKS.items():
        base = results["steps on 1"][f"{name}, {rows} rows"]["compute"][0]
        for ranks in (1, 2, 4):
            labels.append(f"{name}\n{ranks}" if ranks == 2 else f"\n{ranks}")
            spent = results[f"steps on {ranks}"][f"{name}, {rows} rows"]
            for part, values in parts.items():
                values.append(spent[part][0] / base)
    places = [0, 1, 2, 4, 5, 6, 8, 9, 10]
    words = {"compute": "computing", "wait": "waiting", "sum": "summing up"}
    for (part, values), color in zip(parts.items(), (COLORS[0], "#BBBBBB", COLORS[1]), strict=True):
        left.bar(places, values, 0.8, bottom, color=color, label=words[part])
        bottom += values
    for place, height in zip(places, bottom, strict=True):
        if height > 3:
            left.annotate(f"{height:.0f}", (place, 2.88), ha="center", color="white")
    left.set_xticks(places, labels)
    left.set(
        title="A step on 1, 2, 4 ranks of a machine\nwith 2 cores, measured",
        ylabel="time / computing on 1 rank", ylim=(0, 3),
    )  # fmt: skip
    left.legend(frameon=False, loc="upper right")
    ranks_ = [2**i for i in range(9)]
    for (line, values), style, color in zip(
        INTERCONNECTS.items(), ("o-", "s--", "^:"), COLORS, strict=False
    ):
        alone = step(results, "large", 1, values)
        shares = [alone / step(results, "large", ranks, values) for ranks in ranks_]
        middle.plot(ranks_, shares, style, color=color, label=line)
    middle.axhline(0.8, color="#888888", linewidth=0.8)
    middle.set_xscale("log", base=2)
    middle.set_xticks(ranks_[::2], [str(n) for n in ranks_[::2]])
    middle.set(
        title=f"784-2048-2048-10, {ROWS} rows per rank\nof {CORES} cores, modelled",
        xlabel="ranks", ylabel="efficiency", ylim=(0, 1.05),
    )  # fmt: skip
    middle.legend(frameon=False)
    lowest = 93
    for (rule, found), style, color in zip(
        results["batches"].items(), ("o:", "s--", "^-", "D-."), COLORS, strict=False
    ):
        scores = [100 * np.mean(found[str(k)]) for k in LARGER]
        right.plot(LARGER, scores, style, color=color, label=rule)
        if scores[-1] < lowest:
            right.annotate(
                f"{scores[-1]:.0f} at {LARGER[-1]}",
                (17, lowest + (0.15 if color == COLORS[1] else 0.55)), ha="right", color=color,
            )  # fmt: skip
    right.set_xscale("log", base=2)
    right.set_xticks(LARGER, [str(k) for k in LARGER])
    right.set(
        title=f"MNIST, 784-100-10, after {EPOCHS} epochs:\nk times the batch of {BASE_BATCH}",
        xlabel="k", ylabel="accuracy on test images, %", ylim=(lowest, 98.6),
    )  # fmt: skip
    right.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 0.12))
    figure.savefig(PICTURE, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("steps", "messages", "report"):
        commands.add_parser(name)
    commands.add_parser("batches").add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "batches":
        batches(arguments.folder)
    else:
        globals()[arguments.command]()


if __name__ == "__main__":
    main()
