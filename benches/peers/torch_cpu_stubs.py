"""Lets PyPI's torch wheel load without the CUDA packages it links but never calls on a CPU.

`make(site_packages, folder)` writes an empty shared library for each CUDA library that torch's own
libraries need, with every symbol and symbol version they ask for. Needs gcc, nm and readelf.
"""

import collections
import pathlib
import re
import subprocess

LINKED = ["libtorch_cpu.so", "libtorch_cuda.so", "libtorch_python.so", "libc10_cuda.so", "libtorch_cuda_linalg.so", "libtorch_nvshmem.so"]
UNVERSIONED = [("cudnn", "cudnn"), ("cupti", "cupti"), ("nccl", "nccl"), ("cusparseLt", "cusparseLt"), ("cuFile", "cufile"), ("nvrtc", "nvrtc")]


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def make(site_packages, folder):
    lib = pathlib.Path(site_packages, "torch", "lib")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    needed, undefined, library_of = set(), set(), {}
    for name in LINKED:
        path = str(lib / name)
        needed |= set(re.findall(r"NEEDED.*\[(.*?)\]", output("readelf", "-dW", path)))
        current = None
        for line in output("readelf", "-VW", path).splitlines():
            if found := re.search(r"File: (\S+)", line):
                current = found.group(1)
            if (found := re.search(r"Name: (\S+)", line)) and current:
                library_of[found.group(1)] = current
        undefined |= {line.split()[-1] for line in output("nm", "-D", "--undefined-only", path).splitlines()}
    defined = {
        line.split()[-1].split("@")[0]
        for path in lib.glob("*.so*")
        for line in output("nm", "-D", "--defined-only", str(path)).splitlines()
    }
    cuda = sorted(name for name in needed if re.match(r"libcu|libnv|libnccl", name))
    versioned = {name: collections.defaultdict(set) for name in cuda}
    plain = set()
    for symbol in undefined:
        if "@" in symbol:
            name, version = re.split(r"@+", symbol)
            if library_of.get(version) in versioned:
                versioned[library_of[version]][version].add(name)
        elif symbol not in defined:
            plain.add(symbol)
    for library in cuda:
        names = [s for s in plain if any(s.startswith(p) and part in library for p, part in UNVERSIONED)]
        names += [name for group in versioned[library].values() for name in group]
        source, script = folder / "stub.c", folder / "stub.map"
        # 100 is cudaErrorNoDevice: there is no GPU.
        source.write_text(
            "\n".join(f"long {n}(void) {{ return {100 if n == 'cudaGetDeviceCount' else 0}; }}" for n in names)
        )
        script.write_text(
            "\n".join(f"{v} {{ global: {' '.join(n + ';' for n in group)} }};" for v, group in versioned[library].items())
        )
        command = ["gcc", "-shared", "-fPIC", "-w", "-fno-builtin", "-o", str(folder / library), f"-Wl,-soname,{library}", str(source)]
        if versioned[library]:
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True)
