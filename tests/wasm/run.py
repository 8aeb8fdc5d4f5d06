#!/usr/bin/env python3
"""Runs a WASI program with Wasmtime: python3 tests/wasm/run.py PROGRAM ARGUMENTS…   (pip install wasmtime)"""

import sys

import wasmtime


def main():
    store = wasmtime.Store(wasmtime.Engine())
    config = wasmtime.WasiConfig()
    config.argv = sys.argv[1:]
    config.inherit_env()
    config.inherit_stdout()
    config.inherit_stderr()
    store.set_wasi(config)
    linker = wasmtime.Linker(store.engine)
    linker.define_wasi()
    program = linker.instantiate(store, wasmtime.Module.from_file(store.engine, sys.argv[1]))
    try:
        program.exports(store)["_start"](store)
    except wasmtime.ExitTrap as ended:
        return ended.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
