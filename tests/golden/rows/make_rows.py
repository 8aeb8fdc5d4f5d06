"""Tables as other programs write them: what Spark makes of array<double> and ML vectors, pandas' CSV.

python make_rows.py    # pyarrow 26
"""
import pathlib
import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(__file__).parent
n, d = 6, 4
rows = [[round((i * 7 + j * 3) % 11 / 4 - 1, 2) for j in range(d)] for i in range(n)]
paths = [f"file:/data/apple {i}.jpg" for i in range(n)]
labels = ["apple", "pear", None, "apple", "pear", "apple"]
names = {"path": pa.array(paths), "label": pa.array(labels)}

array = pa.array(rows, pa.list_(pa.field("element", pa.float64())))
pq.write_table(pa.table({**names, "pca_features": array}), here / "array_double.parquet", compression="snappy")

vector = pa.struct([
    ("type", pa.int8()), ("size", pa.int32()),
    ("indices", pa.list_(pa.field("element", pa.int32()))),
    ("values", pa.list_(pa.field("element", pa.float64()))),
])
def ml(i, row):
    if i % 2 == 0:
        return {"type": 1, "size": None, "indices": None, "values": row}
    at = [j for j, x in enumerate(row) if x != 0]
    return {"type": 0, "size": d, "indices": at, "values": [row[j] for j in at]}
udt = pa.array([ml(i, r) for i, r in enumerate(rows)], vector)
pq.write_table(pa.table({**names, "pcaFeatures": udt}), here / "vector_udt.parquet", compression="snappy")

columns = {f"f{j}": pa.array([r[j] for r in rows], pa.float64()) for j in range(d)}
pq.write_table(pa.table({"image": names["path"], **columns, "prediction": pa.array(range(n))}),
               here / "f0_fn.parquet", compression="snappy")

with open(here / "semicolons.csv", "w") as f:
    f.write(";" + ";".join(str(j) for j in range(d)) + "\n")
    for i, r in enumerate(rows):
        f.write(f"{i};" + ";".join(str(x) for x in r) + "\n")
with open(here / "vectors.csv", "w") as f:
    f.write("path;label;features_pca\n")
    for p, l, r in zip(paths, labels, rows):
        f.write(f"{p};{l or ''};[{','.join(map(str, r))}]\n")
