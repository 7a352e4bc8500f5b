"""The matrices of Winograd's convolution F(m, r), derived from interpolation points.

F(m, r) is m outputs of a correlation with r taps, y[i] = sum over j of g[j] d[i + j], from
n = m + r - 1 multiplications instead of m r:

    y = A.T [(G g) * (B.T d)]           (* is elementwise)

It is polynomial multiplication, read backwards. Two polynomials a (m coefficients) and g (r) have
a product s of n coefficients, and a polynomial of n coefficients is known from its values at n
points p. So s follows from n multiplications s(p) = a(p) g(p), in three steps:

    evaluate a, g   A[i] = (1, p_i, p_i^2, ...), m columns;  G[i] likewise, r columns
    multiply        s(p_i) = (A a)[i] (G g)[i]
    interpolate     s(x) = sum over i of s(p_i) M_i(x) / M_i(p_i),
                    M_i(x) = product over j != i of (x - p_j), zero at every other point

One point may be infinity, where a polynomial's value is its leading coefficient: A[n-1] and G[n-1]
are (0, ..., 0, 1), and since the leading coefficient contributes s_inf M(x), with
M(x) = product over all finite p_j of (x - p_j), which is zero at every finite point, interpolation
gains that one term. So s = B [(A a) * (G g)], where column i of B holds the coefficients of M_i,
and the last those of M; the numbers 1 / M_i(p_i) are put into G.

For fixed g, a -> s is the matrix of convolution with g, and its transpose is the matrix of
correlation, which is what we wanted: transpose B diag(G g) A, and there is the formula above
(Winograd 1980, "Arithmetic complexity of computations"; Lavin and Gray 2016, "Fast algorithms for
convolutional neural networks").

In two dimensions each matrix acts on rows and columns: Y = A.T [(G g G.T) * (B.T d B)] A, with n^2
multiplications for m^2 outputs. F(4, 3) needs 36 for 16 outputs, where the definition takes 144.

Any n different points are right in exact arithmetic. In floating point they are not alike: with
0, +-1, +-2, infinity, the usual choice, A, B and G contain numbers from 1/24 to 8, and the error of
the worst output of an F(4, 3) tile is some four times that of 0, +-sqrt(1/2), +-sqrt(2), infinity,
which we take. Points in pairs +-p save additions: rows of +p and -p differ only in signs.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy import ndarray

# Finite points in the order they are taken; infinity comes in addition.
POINTS = {
    4: (0.0, 1.0, -1.0),
    6: (0.0, 0.5**0.5, -(0.5**0.5), 2.0**0.5, -(2.0**0.5)),
    8: (0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0),
}


class CookToom(NamedTuple):
    """The three matrices of F(m, r), n = m + r - 1."""

    AT: ndarray  # (m, n)
    G: ndarray  # (n, r)
    BT: ndarray  # (n, n)


@cache
def cook_toom(m: int, r: int) -> CookToom:
    """A.T, G and B.T of F(m, r), in float64; n = m + r - 1 must be 4, 6 or 8."""
    n = m + r - 1
    points = POINTS[n]
    G = _values(points, r)
    BT = np.zeros((n, n))
    for i, p in enumerate(points):
        numerator = _monic([q for q in points if q != p])
        BT[i, : n - 1] = numerator
        G[i] /= np.polynomial.polynomial.polyval(p, numerator)
    BT[n - 1] = _monic(points)
    return CookToom(_values(points, m).T, G, BT)


def _values(points: tuple[float, ...], coefficients: int) -> ndarray:
    """The matrix that evaluates a polynomial at the points and at infinity, lowest power first."""
    matrix = np.vander([*points, 0.0], coefficients, increasing=True)
    matrix[-1] = 0.0
    matrix[-1, -1] = 1.0
    return matrix


def _monic(roots: list[float] | tuple[float, ...]) -> ndarray:
    """Coefficients of the product of all (x - root), lowest power first.

    Pairs +-p are multiplied first, to x^2 - p^2, so that what cancels is exactly zero.
    """
    product = np.ones(1)
    single = [p for p in roots if p == 0 or -p not in roots]
    for p in roots:
        if p > 0 and p not in single:
            product = np.convolve(product, [-p * p, 0.0, 1.0])
    for p in single:
        product = np.convolve(product, [-p, 1.0])
    return product
