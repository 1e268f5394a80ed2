"""``python -m benchmarks``: the table of ratios, the chart, and time to accuracy.

Whole trainings (`fit`), the libraries in turn, several rounds in one process, the best of each: a
ratio is other's best / ours. The floor is the operations that back-propagation cannot avoid, over
what one core reaches on registers alone, measured in the same run.
"""

import argparse
import itertools
import os
import platform
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as SklearnClassifier

import fastmlp
from benchmarks.cases import CASES, Case, mnist
from benchmarks.peers import PEERS, set_threads, torch_epoch, torch_network
from benchmarks.vocabulary import costs
from fastmlp import _native

EPOCHS = {"tab": 20, "digits": 40, "mnist": 4, "mnist images": 4, "mnist2": 2, "wide": 1, "deep": 4,
          "deep50": 2, "one-hot": 4, "regression": 8}  # fmt: skip
HANDICAPS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # of NumPy and scikit-learn, where set


def blas_of_peers() -> str:
    """Which kernels the other libraries multiply matrices with, and on how many threads."""
    from threadpoolctl import threadpool_info

    parts = [
        f"{pool['internal_api']} {pool['version']}, kernel {pool.get('architecture', 'unknown')}, "
        f"{pool['num_threads']} threads ({Path(pool['filepath']).parts[-2]})"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    if "PyTorch" in PEERS:
        import torch

        parts.append(
            f"PyTorch {torch.__version__}: MKL {torch.backends.mkl.is_available()}, "
            f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
        )
    return "; ".join(parts)


def processor() -> str:
    """The processor's name, as the system tells it."""
    for line in (
        Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    ):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def floor_seconds(case: Case, rows: int, peak: float) -> float:
    """Seconds of one epoch at the peak: two operations per weight forward, four back, of the first
    layer two, for nobody needs the gradient of X. A binary classifier has one output.
    """
    units = (*case.units[:-1], 1 if case.units[-1] == 2 else case.units[-1])
    sizes = [n * m for n, m in itertools.pairwise(units)]
    return rows * (6 * sum(sizes) - 2 * sizes[0]) / peak


def measure(case: Case, threads: int, dtype: Any, rounds: int) -> dict[str, float]:
    """Best seconds per epoch of each library; PyTorch and NumPy in float32 only."""
    X, y = case.data()
    X = X.astype(dtype)
    names = [name for name in PEERS if dtype == np.float32 or name in ("fastmlp", "scikit-learn")]
    epochs = EPOCHS[case.name]
    with set_threads(threads):
        trainings = {name: PEERS[name](case, X, y, epochs) for name in names}
        best = dict.fromkeys(names, np.inf)
        for _ in range(rounds):
            for name, train in trainings.items():
                time.sleep(0.2)  # until the last one's threads, which go on spinning, are asleep
                start = time.perf_counter()
                train()
                best[name] = min(best[name], (time.perf_counter() - start) / epochs)
    return best


def time_to_accuracy(folder: Path | None, wanted: float) -> list[tuple[str, float, float, int]]:
    """(library, seconds of training, test accuracy, epochs) until `wanted` or the rates are used.

    The same network, batches and rates for all, found good for this task: the rate falls from epoch
    to epoch, for estimators by warm starts of one epoch each.
    """
    if folder:
        (X, y), (X_test, y_test) = mnist(folder, "train"), mnist(folder, "t10k")
        units, batch, rates = (784, 192, 10), 128, [2e-3, 2e-3, 1e-3, 4e-4, 2e-4, 1e-4, 1e-4, 1e-4]
    else:
        X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
        units, batch, rates = (64, 128, 10), 32, [5e-3, 4e-3, 3e-3, 2e-3, 1e-3, *[5e-4] * 15]
    mean, scale = X.mean(), X.std()
    X, X_test = (((part - mean) / scale).astype(np.float32) for part in (X, X_test))
    results = []
    for name in PEERS:
        if name == "NumPy":
            continue
        spent, accuracy, epochs = 0.0, 0.0, 0
        if name == "PyTorch":
            import torch

            torch.manual_seed(0)
            network = torch_network(units)
            optimizer = torch.optim.Adam(network.parameters(), fused=True)
            loss = torch.nn.CrossEntropyLoss()
            data, targets = torch.from_numpy(X), torch.from_numpy(y)
        else:
            cls = fastmlp.MLPClassifier if name == "fastmlp" else SklearnClassifier
            model = cls(
                units[1:-1],
                batch_size=batch,
                warm_start=True,
                max_iter=1,
                random_state=np.random.RandomState(0),
            )
        for rate in rates:
            start = time.perf_counter()
            if name == "PyTorch":
                for group in optimizer.param_groups:
                    group["lr"] = rate
                torch_epoch(network, optimizer, loss, data, targets, batch)
            else:
                model.set_params(learning_rate_init=rate).fit(X, y)
            spent += time.perf_counter() - start
            epochs += 1
            if name == "PyTorch":
                with torch.no_grad():
                    predicted = network(torch.from_numpy(X_test)).argmax(1).numpy()
            else:
                predicted = model.predict(X_test)
            accuracy = float((predicted == y_test).mean())
            if accuracy >= wanted:
                break
        results.append((name, spent, accuracy, epochs))
    return results


def prediction_latency() -> list[tuple[str, float, float, float]]:
    """(library, us for predict_proba of one row, us for predict, us for predict_proba of 1797)."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    results = []
    for name, cls in (("fastmlp", fastmlp.MLPClassifier), ("scikit-learn", SklearnClassifier)):
        model = cls(max_iter=5, random_state=0).fit(X, y)
        best = []
        for call, rows, repeats in [("predict_proba", 1, 500), ("predict", 1, 500),
                                    ("predict_proba", 1797, 20)]:  # fmt: skip
            times = []
            for _ in range(7):
                start = time.perf_counter()
                for _ in range(repeats):
                    getattr(model, call)(X[:rows])
                times.append((time.perf_counter() - start) / repeats)
            best.append(min(times) * 1e6)
        results.append((name, *best))
    return results


def chart(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars of the ratios, one panel per number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in rows if row["dtype"] == "float32"]
    counts = sorted({row["threads"] for row in rows})
    others = [name for name in PEERS if name != "fastmlp"]
    figure, panels = plt.subplots(1, len(counts), figsize=(5.2 * len(counts), 3.8), sharey=True)
    for panel, threads in zip(np.atleast_1d(panels), counts, strict=True):
        some = [row for row in rows if row["threads"] == threads]
        places = np.arange(len(some))
        for i, name in enumerate(others):
            ratios = [row["seconds"][name] / row["seconds"]["fastmlp"] for row in some]
            panel.bar(places + 0.27 * (i - 1), ratios, 0.25, label=name)
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set_xticks(places, [row["case"] for row in some], rotation=30, ha="right")
        panel.set_title(f"{threads} thread{'s' if threads > 1 else ''}")
        panel.spines[["top", "right"]].set_visible(False)
    first = np.atleast_1d(panels)[0]
    first.set_ylabel("training time / fastmlp's")
    first.legend(frameon=False)
    figure.suptitle("Training with Adam, ReLU, float32: how many times longer others take")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, and write the Markdown page and the chart."""
    if any(name in os.environ for name in HANDICAPS):  # OpenBLAS reads them when it is loaded
        kept = {name: value for name, value in os.environ.items() if name not in HANDICAPS}
        os.execve(sys.executable, sys.orig_argv, kept)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--cases", nargs="+", help="names; default: all")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mnist", type=Path, help="folder of MNIST's gzipped IDX files")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)

    lines: list[str] = []

    def say(line: str = "") -> None:
        lines.append(line)
        print(line, flush=True)

    say(f"{processor()}, engine {_native.engine()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}. Best of {arguments.rounds} alternating rounds.")  # fmt: skip
    if "PyTorch" not in PEERS:
        say("PyTorch is not installed: left out.")
    others = [name for name in PEERS if name != "fastmlp"]
    for threads in arguments.threads:
        with set_threads(threads):
            say(f"Matrix products of the others: {blas_of_peers()}.")
    cases = list(CASES)
    if arguments.mnist:
        place = [case.name for case in cases].index("mnist") + 1
        cases.insert(place, replace(cases[place - 1], name="mnist images", mnist=arguments.mnist))
    say()
    say("| case | dtype | threads | fastmlp, ms per epoch | times the floor | "
        + " | ".join(f"{name} / fastmlp" for name in others) + " |")  # fmt: skip
    say("|" + "---|" * (5 + len(others)))
    rows = []
    for case in cases:
        if arguments.cases and case.name not in arguments.cases:
            continue
        for dtype in (np.float32, np.float64):
            for threads in arguments.threads:
                seconds = measure(case, threads, dtype, arguments.rounds)
                floor = floor_seconds(case, case.rows, _native.peak(dtype == np.float32) * threads)
                rows.append({"case": case.name, "dtype": np.dtype(dtype).name,
                             "threads": threads, "seconds": seconds})  # fmt: skip
                ratios = [f"{seconds[name] / seconds['fastmlp']:.1f}" if name in seconds else ""
                          for name in others]  # fmt: skip
                say(f"| {case.name} | {np.dtype(dtype).name} | {threads} "
                    f"| {seconds['fastmlp'] * 1e3:.2f} | {seconds['fastmlp'] / floor:.2f} | "
                    + " | ".join(ratios) + " |")  # fmt: skip
    say()
    wanted = 0.98
    what = "MNIST" if arguments.mnist else "scikit-learn's digits"
    say(f"Training time to {wanted:.0%} test accuracy on {what}, "
        f"{max(arguments.threads)} threads (evaluation apart):")  # fmt: skip
    say()
    say("| library | seconds | test accuracy | epochs |")
    say("|---|---|---|---|")
    with set_threads(max(arguments.threads)):
        for name, spent, accuracy, epochs in time_to_accuracy(arguments.mnist, wanted):
            say(f"| {name} | {spent:.2f} | {accuracy:.2%} | {epochs} |")
        say()
        say("Prediction, 64-100-10, float32, microseconds:")
        say()
        say("| library | `predict_proba`, 1 row | `predict`, 1 row | `predict_proba`, 1797 rows |")
        say("|---|---|---|---|")
        for name, *times in prediction_latency():
            say(f"| {name} | " + " | ".join(f"{t:.1f}" for t in times) + " |")
    say()
    say("An epoch of the digits case, 1 thread, with another activation or solver or with a "
        "regulariser,")  # fmt: skip
    say("over that with relu and adam (maxout has two pieces: twice the weights):")
    say()
    say("| variant | float32 | float64 |")
    say("|---|---|---|")
    for name, (single, double) in costs().items():
        say(f"| {name} | {single:.2f} | {double:.2f} |")

    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "table.md").write_text("\n".join(lines) + "\n")
    try:
        chart(rows, arguments.output / "chart.png")
    except ImportError:
        print("matplotlib is not installed: no chart.")


if __name__ == "__main__":
    main()
