"""One heterogeneous pressure field by another method: finite elements of second order (scikit-fem) on the same tissue."""

import sys

import numpy as np
import pytest
import skfem
from scipy.sparse import diags_array
from scipy.sparse.linalg import cg
from skfem.helpers import dot, grad

from hepatica.planning.spread.pressure import build_pressure_operator, solve_pressure

WITHIN = 0.01
"""Two methods on one problem: 32 mm in voxels of 0.5 mm, and in elements of 2 mm with quadratic shape functions."""
EDGE = 32.0
RESIDUAL = 1e-10


def conductivity(x, y, z):
    """Smooth tissue; a tight tumour with a core 500 times as conductive; all walls lie on both meshes."""
    k = 1e-4 * np.exp(0.8 * np.sin(x / 5) * np.cos(y / 6) + 0.4 * np.sin(z / 4))
    tumour = (np.abs(x - 16) < 8) & (np.abs(y - 14) < 8) & (np.abs(z - 18) < 6)
    core = (np.abs(x - 16) < 4) & (np.abs(y - 14) < 2) & (np.abs(z - 18) < 2)
    return k * np.where(core, 50.0, np.where(tumour, 0.1, 1.0))


def exchange(x, y, z):
    return 1e-6 * (1 + 0.5 * np.cos(x / 7) * np.cos(z / 5)) + 0 * y


def inflow(x, y, z):
    """mm3/s for each mm3: a smooth source off the tumour's middle."""
    return 1e-4 * np.exp(-((x - 12) ** 2 + (y - 20) ** 2 + (z - 14) ** 2) / 18.0)


def solve_elements(points_mm):
    """Pressure at (n, 3) points, sides at 0."""
    line = np.linspace(0.0, EDGE, 17)
    basis = skfem.Basis(skfem.MeshHex.init_tensor(line, line, line), skfem.ElementHex2(), intorder=3)

    @skfem.BilinearForm
    def stiffness(u, v, w):
        return conductivity(*w.x) * dot(grad(u), grad(v)) + exchange(*w.x) * u * v

    @skfem.LinearForm
    def load(v, w):
        return inflow(*w.x) * v

    matrix, right = stiffness.assemble(basis), load.assemble(basis)
    free = basis.complement_dofs(basis.get_dofs())
    inner, known = matrix[free][:, free], right[free]
    scale = 1 / inner.diagonal()
    found, _ = cg(inner.tocsr(), known, rtol=1e-7, maxiter=3000, M=diags_array(scale))
    assert np.linalg.norm(inner @ found - known) < 1e-6 * np.linalg.norm(known)
    x = np.zeros(basis.N)
    x[free] = found
    return basis.probes(points_mm.T) @ x


@pytest.mark.requirement("C-CROSS-CHECK")
def test_a_heterogeneous_pressure_field_agrees_with_finite_elements_within_a_percent():
    line = (np.arange(64) + 0.5) / 2
    grid = np.meshgrid(line, line, line, indexing="ij")
    operator = build_pressure_operator(
        conductivity(*grid), spacing_mm=(0.5, 0.5, 0.5), exchange_per_kpa_s=exchange(*grid)
    )
    solution = solve_pressure(operator, inflow(*grid) / 8, tolerance=RESIDUAL).require_converged()
    # The mean of 2 x 2 x 2 voxels stands at the corner they share: at odd multiples of half a millimetre.
    have = solution.pressure_kpa.reshape(32, 2, 32, 2, 32, 2).mean(axis=(1, 3, 5)).ravel()
    middle = np.arange(32) + 0.5
    points = np.stack([axis.ravel() for axis in np.meshgrid(middle, middle, middle, indexing="ij")], axis=1)
    some = np.random.default_rng(2).permutation(len(points))[:2000]
    want = solve_elements(points[some])
    error = np.linalg.norm(have[some] - want) / np.linalg.norm(want)
    largest = np.abs(have[some] - want).max() / want.max()
    sys.stdout.write(
        f"against finite elements: relative L2 {error:.2e}, largest {largest:.2e} of the largest pressure\n"
    )
    assert want.max() > 1.0 and conductivity(*grid).max() / conductivity(*grid).min() > 500
    assert error < WITHIN


@pytest.mark.requirement("C-CROSS-CHECK")
def test_the_finite_elements_solve_a_field_known_in_closed_form(monkeypatch):
    # The other program is held against an exact answer first: sin sin sin in even tissue without vessels.
    here = globals()
    wave = np.pi / EDGE
    monkeypatch.setitem(here, "conductivity", lambda x, y, z: 1e-4 + 0 * x)
    monkeypatch.setitem(here, "exchange", lambda x, y, z: 0 * x)
    monkeypatch.setitem(
        here,
        "inflow",
        lambda x, y, z: 3e-4 * wave**2 * np.sin(wave * x) * np.sin(wave * y) * np.sin(wave * z),
    )
    points = np.array([[16.0, 16.0, 16.0], [8.0, 5.5, 20.5], [30.5, 3.5, 11.5]])
    want = np.prod(np.sin(wave * points), axis=1)
    assert solve_elements(points) == pytest.approx(want, rel=1e-3)
