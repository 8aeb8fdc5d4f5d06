"""Writes sklearn.json: what scikit-learn's StandardScaler and PCA(svd_solver="full") make of small
matrices from a generator that tests/pca_golden.rs repeats bit for bit.

Run with numpy and scikit-learn installed: python make_sklearn.py
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler


class Generator:
    """A linear congruential generator; multiples of 2^-24 in [-0.5, 0.5)."""

    def __init__(self, seed):
        self.state = seed

    def __call__(self, n):
        out = np.empty(n)
        for i in range(n):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            out[i] = (self.state >> 40) / 2**24 - 0.5
        return out


def uniform(n, d, seed):
    return Generator(seed)(n * d).reshape(n, d)


def features(n, d, rank, seed):
    """Low rank plus noise, negatives cut off, as a network's last ReLU leaves them."""
    g = Generator(seed)
    left, right, noise = g(n * rank).reshape(n, rank), g(rank * d).reshape(rank, d), g(n * d).reshape(n, d)
    x = 0.25 * noise
    for r in range(rank):
        # One term after the other: the same sums in every language.
        x = x + (left[:, r : r + 1] * right[r : r + 1, :]) * (8.0 / (1 + r))
    return np.maximum(x + 0.125, 0.0)


def constant_columns():
    x = uniform(30, 5, 3)
    x[:, 1] = 0.1
    x[:, 3] = 1000.0
    return x


CASES = {
    # name: matrix, components to keep, rank
    "tall": (uniform(40, 6, 1), 4, 6),
    "wide": (uniform(8, 15, 2), 8, 7),
    "constant columns": (constant_columns(), 3, 3),
    "duplicated rows": (np.repeat(uniform(10, 4, 4), 2, axis=0), 4, 4),
    "more than the rank": (uniform(20, 2, 5) @ np.eye(2, 6) + 0.5, 5, 2),
    "far from zero": (uniform(50, 4, 6) * [1, 10, 100, 0.5] + 1000, 3, 4),
    "two rows": (uniform(2, 3, 7), 1, 1),
    "one column": (uniform(9, 1, 8), 1, 1),
    "features": (features(300, 96, 40, 9), 12, 96),
}

def signs(components):
    """Where the largest entries are equal to rounding, rounding decides scikit-learn's sign; here the
    first of them is positive."""
    sizes = np.abs(components)
    first = np.argmax(sizes >= sizes.max(axis=1, keepdims=True) * (1 - 1e-9), axis=1)
    return np.sign(components[np.arange(len(components)), first])


out = {"scikit-learn": sklearn.__version__, "cases": []}
for name, (x, k, rank) in CASES.items():
    x32 = x.astype(np.float32)
    x = x32.astype(np.float64)
    for scaled in [False, True]:
        scaler = StandardScaler(with_mean=scaled, with_std=scaled).fit(x)
        y = scaler.transform(x)
        pca = PCA(k, svd_solver="full").fit(y)
        white = PCA(k, svd_solver="full", whiten=True).fit(y)
        sample = y[:3]
        sign = signs(pca.components_)
        case = {
            "name": name,
            "shape": list(x.shape),
            "sum": float(x32.astype(np.float64).sum()),
            "rank": rank,
            "scaled": scaled,
            "keep": k,
            "explained_variance": pca.explained_variance_.tolist(),
            "explained_variance_ratio": pca.explained_variance_ratio_.tolist(),
            "singular_values": pca.singular_values_.tolist(),
            "noise_variance": float(pca.noise_variance_),
            "components": (pca.components_ * sign[:, None])[: min(k, rank)].round(12).tolist(),
            "transformed": (pca.transform(sample) * sign)[:, : min(k, rank)].round(9).tolist(),
            "whitened": (white.transform(sample) * signs(white.components_))[:, : min(k, rank)].round(9).tolist(),
            "restored": scaler.inverse_transform(pca.inverse_transform(pca.transform(sample))).round(9).tolist(),
            "fractions": [],
        }
        if scaled:
            case["mean"] = scaler.mean_.tolist()
            case["variance"] = scaler.var_.tolist()
            case["scale"] = scaler.scale_.tolist()
        for f in [0.3, 0.5, 0.9, 0.95, 0.99]:
            kept = PCA(f, svd_solver="full").fit(y).n_components_
            case["fractions"].append([f, int(kept)])
        out["cases"].append(case)

path = pathlib.Path(__file__).with_name("sklearn.json")
path.write_text(json.dumps(out).replace("}, {", "},\n{") + "\n")
print(path, path.stat().st_size)
