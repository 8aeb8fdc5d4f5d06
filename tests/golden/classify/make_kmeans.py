"""Reference figures for k-means and agreement measures, by scikit-learn.

    python3 make_kmeans.py > kmeans.json

Needs numpy and scikit-learn. The points come from SplitMix64, which tests/kmeans.rs repeats.
"""

import json
import sys

import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    completeness_score,
    homogeneity_score,
    normalized_mutual_info_score,
    silhouette_score,
)

MASK = (1 << 64) - 1


class Rng:
    def __init__(self, seed):
        self.state = seed

    def unit(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def blobs(seed, n, d, classes, spread):
    """Points around uniform class centres; noise is the sum of four uniforms."""
    rng = Rng(seed)
    centres = [[rng.unit() * 10 for _ in range(d)] for _ in range(classes)]
    labels = [i % classes for i in range(n)]
    rows = [[c + spread * (sum(rng.unit() for _ in range(4)) - 2) for c in centres[l]] for l in labels]
    return np.array(rows, dtype=np.float32), np.array(labels)


def main():
    cases = []
    for seed, n, d, classes, spread, k in [
        (1, 600, 2, 6, 1.0, 6),
        (2, 2000, 10, 20, 4.0, 20),
        (3, 2000, 20, 60, 7.0, 60),
        (4, 1500, 50, 30, 12.0, 10),
    ]:
        x, y = blobs(seed, n, d, classes, spread)
        fits = [KMeans(k, n_init=10, random_state=s).fit(x) for s in range(3)]
        best = min(fits, key=lambda f: f.inertia_)
        case = {"seed": seed, "n": n, "d": d, "classes": classes, "spread": spread, "k": k}
        case["inertia"] = [float(f.inertia_) for f in fits]
        case["adjusted_rand"] = [float(adjusted_rand_score(y, f.labels_)) for f in fits]
        # Measures of one fixed clustering, so that they can be compared digit by digit.
        fixed = np.array([(i * i + i // 7) % k for i in range(n)])
        case["fixed"] = {
            "adjusted_rand": float(adjusted_rand_score(y, fixed)),
            "nmi": float(normalized_mutual_info_score(y, fixed)),
            "homogeneity": float(homogeneity_score(y, fixed)),
            "completeness": float(completeness_score(y, fixed)),
            "silhouette": float(silhouette_score(x.astype(np.float64), y)),
        }
        cases.append(case)
    json.dump({"scikit-learn": sklearn.__version__, "cases": cases}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
