"""Reference figures for k nearest neighbours, by scikit-learn.

    python3 make_neighbors.py > neighbors.json
"""

import json
import sys

import numpy as np
import sklearn
from make_kmeans import blobs
from sklearn.neighbors import KNeighborsClassifier

cases = []
for seed, n, d, classes, spread in [(21, 300, 3, 4, 4.0), (22, 800, 20, 12, 8.0), (23, 120, 9, 2, 6.0)]:
    x, y = blobs(seed, n, d, classes, spread)
    x = x.astype(np.float32).astype(np.float64)
    half = n // 2
    # A query that is one of the references: distance zero.
    x[half] = x[3]
    fits = []
    for metric in ["euclidean", "cosine"]:
        for weights in ["uniform", "distance"]:
            for k in [1, 5, 12]:
                fit = KNeighborsClassifier(k, weights=weights, metric=metric, algorithm="brute")
                fit.fit(x[:half], y[:half])
                distances, _ = fit.kneighbors(x[half : half + 12])
                if metric == "cosine":  # rounding leaves 1e-16 where the two are equal
                    distances[distances < 1e-12] = 0
                p = fit.predict_proba(x[half : half + 12])
                if metric == "cosine" and weights == "distance":
                    p[0] = np.eye(classes)[y[3]]
                fits.append(
                    {
                        "metric": metric, "weights": weights, "k": k,
                        "farthest": [float(v) for v in distances[:, -1]],
                        "probabilities": [[round(float(v), 7) for v in row] for row in p],
                    }
                )
    cases.append({"seed": seed, "n": n, "d": d, "classes": classes, "spread": spread, "fits": fits})
json.dump({"scikit-learn": sklearn.__version__, "cases": cases}, sys.stdout)
print()
