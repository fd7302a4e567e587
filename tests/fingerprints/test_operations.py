"""How many floating-point operations each family takes of a layer, counted, beside what the mathematics needs."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pytest

from kinprint.architectures import Part

FORMS, VECTORS, DIRECTIONS = 4, 3, 128
"""`neurons.forms`: forms, vectors of a neuron, directions that stand for a form."""

SPARE = 1.05
"""What is counted may be this much more than the formulas below, which leave out all that grows with no product."""


class Shape(NamedTuple):
    hidden: int
    width: int
    heads: int
    groups: int
    neurons: int

    def arrays(self) -> dict[str, tuple[int, ...]]:
        queries, keys = self.heads * self.width, self.groups * self.width
        return {
            "q": (queries, self.hidden),
            "k": (keys, self.hidden),
            "v": (keys, self.hidden),
            "o": (self.hidden, queries),
            "gate": (self.neurons, self.hidden),
            "up": (self.neurons, self.hidden),
            "down": (self.hidden, self.neurons),
            "gains.input": (self.hidden,),
            "gains.post_attention": (self.hidden,),
        }

    def facts(self) -> dict[str, int]:
        return {
            "hidden_size": self.hidden,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.groups,
        }


@pytest.fixture(scope="module")
def operations() -> ModuleType:
    found = importlib.util.spec_from_file_location(
        "benchmark_operations", Path(__file__).parents[2] / "benchmarks" / "operations.py"
    )
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def counted(operations: ModuleType, shape: Shape) -> dict[str, int]:
    rng = np.random.default_rng(0)
    arrays = {role: (1 + rng.standard_normal(size)).astype(ml_dtypes.bfloat16) for role, size in shape.arrays().items()}
    parts = [
        Part(role, 0, None, ("residual" if role in ("o", "down") else "?", "?"), array.shape, array.dtype, role, array.copy)
        for role, array in arrays.items()
    ]
    found: dict[str, int] = operations.by_family(0, shape.facts(), parts)
    return found


def needed(shape: Shape) -> dict[str, float]:
    """What the mathematics needs, as METHODS has it; what several families share counts for the first, `channels`.

    Of every head (width d) of each of four matrices: its Gram matrix, a symmetric product (d² hidden); a triangular root of the
    other one's times its rows, in two parts (3/2 d² hidden), and the squares of that; and what gives its leading directions,
    times the rows. For those the eigenvectors of a product of Gram matrices and two roots; where every head has keys of its
    own, one product of small matrices instead. Of every neuron: six inner products with gains, and two weighted squares.
    """
    d, hidden = shape.width, shape.hidden
    of_rows, of_directions = 0.0, 0.0
    for count in (shape.heads, shape.groups, shape.heads, shape.groups):
        each = min(max(DIRECTIONS // count, 1), d)
        of_rows += count * (2.5 * d**2 + (1 + 2 + 2 * each) * d) * hidden
        if count < shape.heads or shape.heads == shape.groups:
            of_directions += shape.groups * d**3 / 3 * (1 if shape.heads == shape.groups else 2)
        own = 9 * d**3 if 8 * each > d else 4 / 3 * d**3 + 2 * each * d**2
        of_directions += count * (4 * d**3 + own + 2 * each * d**2)
    if shape.heads == shape.groups:
        each = max(DIRECTIONS // shape.heads, 1)
        own = 9 * d**3 if 8 * each > d else 4 / 3 * d**3 + 2 * each * d**2
        of_directions -= 2 * shape.heads * (4 * d**3 + own)
    chosen = min(2048, (1 << 22) // hidden, shape.neurons)
    return {
        "scan": 8 * sum(int(np.prod(size)) for size in shape.arrays().values()),
        "channels": of_rows + of_directions + (17 + 7) * shape.neurons * hidden,
        "forms": 2 * FORMS * VECTORS * DIRECTIONS * chosen * hidden,
        "heads": 2 * shape.heads * (1 / 3 + 4 + 4 / 3) * d**3,
    }


@pytest.mark.parametrize("shape", [Shape(512, 32, 32, 32, 1376), Shape(512, 128, 4, 2, 1376)])
def test_no_family_takes_more_operations_than_it_needs(operations: ModuleType, shape: Shape) -> None:
    found = counted(operations, shape)
    expected = needed(shape)
    assert {name for name, count in found.items() if count > 1000} - {"products"} == expected.keys()
    for name, count in expected.items():
        assert count * 0.98 <= found[name] <= count * SPARE, name


def test_products_of_matrices_count_as_they_should(operations: ModuleType) -> None:
    matrix = np.ones((3, 5)).view(operations.Counted)
    with operations.counting() as counter:
        matrix @ np.ones((5, 7))
        assert counter.read() == 2 * 3 * 5 * 7
        matrix @ matrix.T
        assert counter.read() == 3 * 3 * 5
        np.einsum("ij,ij->j", matrix, matrix)
        assert counter.read() == 2 * 3 * 5
        np.multiply(matrix, 2.0, out=matrix)
        assert counter.read() == 3 * 5
        np.linalg.cholesky(matrix[:, :3].T @ matrix[:, :3] + 9 * np.eye(3))
        assert counter.read() == 27 + 9 + 9
