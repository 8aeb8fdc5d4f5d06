"""Trustworthiness by scikit-learn of seeded points on a seeded plane.

python make_map.py    # scikit-learn 1.9
"""
import json, pathlib
import numpy as np
from sklearn.manifold import trustworthiness

rng = np.random.default_rng(5)
rows = rng.normal(size=(120, 6)).astype(np.float32)
plane = (rows[:, :2] + rng.normal(scale=0.4, size=(120, 2))).astype(np.float32)
pathlib.Path(__file__).with_name("trustworthiness.json").write_text(json.dumps({
    "rows": [round(float(v), 5) for v in rows.ravel()], "plane": [round(float(v), 5) for v in plane.ravel()],
    "trustworthiness": float(trustworthiness(np.round(rows, 5), np.round(plane, 5), n_neighbors=12)),
}))
