"""What benchmarks.gpu does apart from the card: on the CPU, and of made-up times."""

import json

import numpy as np
import pytest
from benchmarks import gpu
from benchmarks.cases import Case

SMALL = Case("tab", 60, (5, 7, 3), 20)


@pytest.fixture
def torch():
    module = pytest.importorskip("torch", reason="PyTorch is not installed")
    precision = module.get_float32_matmul_precision()
    yield module
    module.set_float32_matmul_precision(precision)


def test_libraries_are_measured_in_turns(torch, tmp_path, capsys):
    gpu.report([SMALL], "cpu", ("eager",), 2, tmp_path, span=0.01, size=64, megabytes=1)
    result = json.loads((tmp_path / "gpu-cpu.json").read_text())
    assert set(result["rates"]) == {*gpu.PRECISIONS, "bytes"}
    assert all(np.isfinite(rate) and rate > 0 for rate in result["rates"].values())
    (row,) = result["rows"]
    assert set(row["seconds"]) == {"fastmlp", "eager", "fit"}
    assert all(value > 0 for value in row["seconds"].values())
    assert capsys.readouterr().out.endswith("10 x eager: " + gpu.verdicts(row)[0].split(": ")[1]
                                            + "; 2 x graph: not measured |\n")  # fmt: skip


@pytest.mark.parametrize("precision", gpu.PRECISIONS)
def test_pytorch_learns(torch, precision):
    training = gpu.Torch(SMALL, "cpu", precision)
    every = torch.arange(SMALL.rows)
    before = training.loss(every).item()
    training.epochs(20)
    assert training.loss(every).item() < before - 0.01


def test_floors_count_operations_and_bytes():
    rates = {"float32": 1e12, "bytes": 1e12}
    floors = gpu.floors(SMALL, "float32", rates)
    assert floors["products"] == pytest.approx(20 * 2 * (56 + 56 + 21) / 1e12)
    assert floors["memory"] == pytest.approx(24 * (35 + 7 + 21 + 3) / 1e12)


def test_the_table_tells_which_aims_are_reached():
    row = {"case": "tab", "precision": "float32", "floors": {"products": 1e-8, "memory": 2e-8},
           "seconds": {"fastmlp": 5e-6, "fit": 6e-6, "eager": 60e-6, "graph": 9e-6}}  # fmt: skip
    wide = {"case": "wide", "precision": "tf32", "floors": {"products": 90e-6, "memory": 50e-6},
            "seconds": {"fastmlp": 100e-6, "fit": 110e-6}}  # fmt: skip
    mnist2 = {**wide, "case": "mnist2", "precision": "float32"}
    _, _, *lines = gpu.table([row, wide, mnist2])
    assert lines[0] == (
        "| tab | float32 | 5.0 | 6.0 | 12.00 |  | 1.80 | 0% | 0% | "
        "10 x eager: 12.0 x, reached; 2 x graph: 1.8 x, MISSED |"
    )
    assert lines[1].endswith("| 90% | 50% | 85% of the products' rate: 90%, reached |")
    assert lines[2].endswith("| 1.5 x compile: not measured |")


def test_all_rows_are_whole_batches():
    assert all(case.rows % case.batch == 0 for case in gpu.CASES)
    names = {case.name for case in gpu.CASES}
    assert names > gpu.NARROW
    assert {name for name, _ in gpu.AIMS} <= names
