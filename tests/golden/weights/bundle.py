"""Several files of nearly the same content as one small zstd file.

A bundle: a JSON line of [[name, length], ...], then the files interleaved in blocks of 1 MiB (a file
that has ended is left out), so that equal contents lie within zstd's window. Its Rust twin is
tests/support/bundle.rs.
"""

import json
from pathlib import Path

import zstandard

BLOCK = 1 << 20
# Readers in pure Rust take windows up to 100 MiB.
PARAMS = zstandard.ZstdCompressionParameters.from_level(19, window_log=26, enable_ldm=True)


def write(name, files):
    """`files`: name -> bytes."""
    header = [[n, len(data)] for n, data in files.items()]
    packed = zstandard.ZstdCompressor(compression_params=PARAMS).compressobj()
    out = packed.compress(json.dumps(header, separators=(",", ":")).encode() + b"\n")
    longest = max(len(data) for data in files.values())
    for start in range(0, longest, BLOCK):
        for data in files.values():
            out += packed.compress(data[start : start + BLOCK])
    out += packed.flush()
    (Path(__file__).parent / f"{name}.bundle.zst").write_bytes(out)
    print(f"{name}: {sum(len(d) for d in files.values())} -> {len(out)} bytes", flush=True)
