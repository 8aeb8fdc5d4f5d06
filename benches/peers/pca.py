"""scikit-learn's PCA solvers on the rows' distribution of benches/pca.rs, alternating so that noise
meets all of them; prints the median seconds of each. Numpy and scikit-learn installed:

    python benches/peers/pca.py && cargo bench --features rayon --bench pca -- exact
"""

import statistics
import time

import numpy as np
import sklearn
from sklearn.decomposition import PCA, IncrementalPCA

SOLVERS = {
    "IncrementalPCA, batches of 1,000": lambda: IncrementalPCA(50, batch_size=1000),
    "PCA covariance_eigh": lambda: PCA(50, svd_solver="covariance_eigh"),
    "PCA auto": lambda: PCA(50),
}

print("scikit-learn", sklearn.__version__, "numpy", np.__version__)
for columns in [1280, 2048]:
    rng = np.random.default_rng(1)
    x = rng.random((20_000, columns), dtype=np.float32) + rng.random((20_000, columns), dtype=np.float32) - 1
    seconds = {name: [] for name in SOLVERS}
    for _ in range(5):
        for name, make in SOLVERS.items():
            start = time.perf_counter()
            make().fit(x)
            seconds[name].append(time.perf_counter() - start)
    for name, all_seconds in seconds.items():
        print(f"{columns:5} columns  {name:32} {statistics.median(all_seconds):.3f} s")
