"""Reference figures for measures of predictions, by scikit-learn; the calibration error by its definition.

    python3 make_evaluation.py > evaluation.json
"""

import json
import sys
import warnings

import numpy as np
import sklearn
from sklearn.metrics import (
    accuracy_score, balanced_accuracy_score, confusion_matrix, log_loss, precision_score, recall_score,
    top_k_accuracy_score,
)

warnings.filterwarnings("ignore")
cases = []
for seed, n, classes, sharp in [(1, 60, 3, 1.0), (2, 200, 12, 3.0), (3, 40, 2, 8.0)]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes if classes < 12 else classes - 1, n)  # the last of twelve never occurs
    z = sharp * rng.normal(size=(n, classes)) + 1.5 * sharp * np.eye(classes)[y]
    p = np.exp(z - z.max(1, keepdims=True))
    p = (p / p.sum(1, keepdims=True)).astype(np.float32)
    # In single precision rows don't sum to one exactly; scikit-learn divides by the sum, we don't.
    labels, best, confidence = np.arange(classes), p.argmax(1), p.max(1).astype(np.float64)
    bins = np.clip(np.ceil(confidence * 15).astype(int), 1, 15)
    ece = sum(abs((confidence[bins == b] - (best == y)[bins == b]).sum()) for b in range(1, 16)) / n
    cases.append(
        {
            "classes": classes,
            "labels": y.tolist(),
            "probabilities": [[float(v) for v in row] for row in p],
            "accuracy": accuracy_score(y, best),
            "balanced_accuracy": balanced_accuracy_score(y, best),
            "top": {
                str(k): top_k_accuracy_score(y, p[:, 1] if classes == 2 else p, k=k, labels=labels)
                for k in [1, 2, 5] if k < classes
            },
            "recall": np.nan_to_num(recall_score(y, best, average=None, labels=labels, zero_division=np.nan), nan=-1).tolist(),
            "precision": np.nan_to_num(precision_score(y, best, average=None, labels=labels, zero_division=np.nan), nan=-1).tolist(),
            "confusion": confusion_matrix(y, best, labels=labels).tolist(),
            "log_loss": float(log_loss(y, p, labels=labels)),
            "calibration_error": float(ece),
        }
    )
json.dump({"scikit-learn": sklearn.__version__, "cases": cases}, sys.stdout)
print()
