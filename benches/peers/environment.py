"""What the scripts beside this one run in: Python packages at pinned versions, and what cargo builds."""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "peers"
PINS = HERE / "requirements.txt"
CORES = len(os.sched_getaffinity(0))


def options(doc):
    """A parser of what every script takes, with its documentation as help."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="interpreter with the packages of requirements.txt, those of CUDA for a GPU")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser


def packages(cuda):
    """An interpreter with the packages of requirements.txt, made again when these have changed, and the folder of the
    libraries that its PyTorch looks for in vain. For a GPU a second one, whose PyTorch has its CUDA packages."""
    folder, stubs, ready = (WORK / (name + "-cuda" * cuda) for name in ("env", "stubs", "ready"))
    python = folder / "bin" / "python"
    pins = PINS.read_text()
    if not ready.exists() or ready.read_text() != pins:
        ready.unlink(missing_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        complete = [] if cuda else ["--no-deps"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *complete, "-r", PINS], check=True)
        if not cuda:
            sys.path.insert(0, str(HERE))
            import torch_cpu_stubs

            torch_cpu_stubs.make(next(folder.glob("lib/python3*/site-packages")), stubs)
        ready.write_text(pins)
    return str(python), stubs


def build(*what, package=ROOT, target=None, flags=None):
    """Builds a program with cargo, `--example NAME` or `--bin NAME` last, and says where it is."""
    target = pathlib.Path(target or os.environ.get("CARGO_TARGET_DIR", package / "target"))
    env = dict(os.environ, **({"RUSTFLAGS": flags} if flags else {}))
    command = ["cargo", "build", "--release", "--locked", "--target-dir", target, *what]
    subprocess.run(command, cwd=package, env=env, check=True)
    return target / "release" / ("examples" if "--example" in what else "") / what[-1]


def bootstrap(args, script, programs, cuda=False):
    """Makes the environment and the programs that `args` doesn't name, each by its option, then runs `script` inside."""
    WORK.mkdir(parents=True, exist_ok=True)
    threads = getattr(args, "threads", CORES)
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), GOMP_SPINCOUNT="0", KMP_BLOCKTIME="0")
    python = args.python
    if not python:
        python, stubs = packages(cuda)
        if not cuda:
            env["LD_LIBRARY_PATH"] = f"{stubs}:{env.get('LD_LIBRARY_PATH', '')}"
    command = [python, script, "--inside", *sys.argv[1:]]
    for option, make in programs.items():
        if not getattr(args, option):
            command += [f"--{option.replace('_', '-')}", str(make())]
    return subprocess.run(command, env=env, check=False).returncode
