"""Reads a run's output with pyarrow and pandas and compares the formats with one another.

    python read_with_peers.py PARQUET_RUN [CSV_RUN [IPC_RUN]]

Each argument is the output folder of a run over the same pictures in that format. Ends with a line
per file and exit status 0, or with an assertion.
"""

import glob
import json
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet


def matrix(table, column):
    values = table.column(column).combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = values.chunk(0)
    return values.flatten().to_numpy().reshape(len(values), -1)


def check_schema(table, column):
    schema = table.schema
    assert schema.names == ["path", "label", column], schema
    assert schema.field("path").type == pa.string() and not schema.field("path").nullable, schema
    assert schema.field("label").type == pa.string() and schema.field("label").nullable, schema
    kind = schema.field(column).type
    assert pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float32(), kind
    return kind.list_size


def main(parquet_run, csv_run=None, ipc_run=None):
    summary = json.load(open(os.path.join(parquet_run, "summary.json")))
    for column, size in [("features", summary["feature_length"]), ("components", summary["components"])]:
        rows = 0
        for path in sorted(glob.glob(os.path.join(parquet_run, column, "part-*.parquet"))):
            table = pa.parquet.read_table(path)
            assert check_schema(table, column) == size
            values = matrix(table, column)
            assert np.isfinite(values).all()
            rows += len(table)
            name = os.path.basename(path).removesuffix(".parquet")
            print(f"{column}/{name}: {values.shape} {pa.parquet.ParquetFile(path).metadata.created_by}")
            if csv_run:
                read = pa.csv.read_csv(
                    os.path.join(csv_run, column, name + ".csv"),
                    parse_options=pa.csv.ParseOptions(newlines_in_values=True),
                    convert_options=pa.csv.ConvertOptions(
                        column_types={"label": pa.string(), "path": pa.string()}, strings_can_be_null=True
                    ),
                )
                prefix = {"features": "feat_", "components": "pc_"}[column]
                assert read.schema.names == ["label", "path"] + [f"{prefix}{i}" for i in range(size)]
                assert read.column("path").to_pylist() == table.column("path").to_pylist()
                assert [v or None for v in read.column("label").to_pylist()] == table.column("label").to_pylist()
                text = np.stack([read.column(2 + i).to_numpy() for i in range(size)], axis=1)
                assert (text.astype(np.float32) == values).all(), "CSV reads back the same f32"
            if ipc_run:
                with pa.ipc.open_file(os.path.join(ipc_run, column, name + ".arrow")) as file:
                    read = file.read_all()
                assert check_schema(read, column) == size
                assert read.column("path").equals(table.column("path"))
                assert read.column("label").equals(table.column("label"))
                assert (matrix(read, column) == values).all()
        assert rows == summary["rows"], (rows, summary["rows"])
    print(f"{summary['rows']} rows agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
