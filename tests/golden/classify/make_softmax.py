"""Reference figures for softmax regression and temperature scaling, by scikit-learn and scipy.

    python3 make_softmax.py > softmax.json
"""

import json
import sys

import numpy as np
import sklearn
from make_kmeans import blobs
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

cases = []
for seed, n, d, classes, spread, c in [(11, 400, 3, 4, 3.0, 1.0), (12, 1200, 20, 12, 6.0, 0.1), (13, 300, 8, 2, 4.0, 10.0)]:
    x, y = blobs(seed, n, d, classes, spread)
    x[:, 0] *= 30  # columns of different scale, as principal components have
    x = x.astype(np.float32).astype(np.float64)
    half = n // 2
    fit = LogisticRegression(C=c, tol=1e-10, max_iter=20000).fit(x[:half], y[:half])
    logits = fit.decision_function(x[half:])
    if classes == 2:  # scikit-learn fits one logit for two classes
        logits = np.stack([np.zeros(half), logits], 1)

    def nll(t):
        z = logits / t
        z = z - z.max(1, keepdims=True)
        return float((np.log(np.exp(z).sum(1)) - z[np.arange(half), y[half:]]).mean())

    best = minimize_scalar(lambda s: nll(np.exp(s)), bounds=(-4.6, 4.6), method="bounded", options={"xatol": 1e-10})
    p = fit.predict_proba(x[half:])
    cases.append(
        {
            "seed": seed, "n": n, "d": d, "classes": classes, "spread": spread, "C": c,
            "probabilities": [[float(v) for v in row] for row in p[:25]],
            "accuracy": float((p.argmax(1) == y[half:]).mean()),
            "temperature": float(np.exp(best.x)),
            "nll": nll(1.0), "calibrated_nll": float(best.fun),
        }
    )
json.dump({"scikit-learn": sklearn.__version__, "cases": cases}, sys.stdout)
print()
