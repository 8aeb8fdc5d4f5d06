"""Writes real.bin.zst: what scikit-learn's StandardScaler and PCA(svd_solver="full") make of a network's
features of photographs.

    python make_real.py FEATURES.csv      # needs numpy, scikit-learn, zstandard

FEATURES.csv is `features/part-00000.csv` of

    (cd ../shared/data/fruits360-131x9 && ls */*.jpg) | LC_ALL=C sort | awk 'NR % 4 == 1' |
        sed "s#^#$(realpath ../shared/data/fruits360-131x9)/#" > list.txt
    fruitcore run list.txt --weights bundled --format csv -o OUT

so 295 pictures of Fruits-360 through the model in the box. The features are kept in f16, and both sides
compute with the rounded ones. The file: a JSON line, the rows (f16), then of each case the variance ratios
(f64), the components and the projected rows (f32), all little-endian.
"""

import json
import pathlib
import sys

import numpy as np
import sklearn
import zstandard
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

KEEP = 50

table = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, dtype=str)
rows = table[:, 2:].astype(np.float32).astype("<f2")
header = {"scikit-learn": sklearn.__version__, "keep": KEEP, "rows": list(rows.shape), "cases": []}
body = rows.tobytes()
# More columns than rows, and fewer: ways of their own to the components.
for columns in [rows.shape[1], 200]:
    for scaled in [False, True]:
        x = rows[:, :columns].astype(np.float64)
        y = StandardScaler(with_mean=scaled, with_std=scaled).fit_transform(x)
        pca = PCA(KEEP, svd_solver="full").fit(y)
        largest = np.take_along_axis(pca.components_, np.abs(pca.components_).argmax(axis=1)[:, None], 1)
        sign = np.sign(largest)
        header["cases"].append({"columns": columns, "scaled": scaled})
        body += pca.explained_variance_ratio_.astype("<f8").tobytes()
        body += (pca.components_ * sign).astype("<f4").tobytes()
        body += (pca.transform(y) * sign.T).astype("<f4").tobytes()
        print(header["cases"][-1], pca.explained_variance_ratio_[[0, 1, -2, -1]])
packed = zstandard.ZstdCompressor(19).compress(json.dumps(header, separators=(",", ":")).encode() + b"\n" + body)
path = pathlib.Path(__file__).with_name("real.bin.zst")
path.write_bytes(packed)
print(path, len(body), "->", len(packed))
