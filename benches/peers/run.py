#!/usr/bin/env python3
"""This crate's networks beside OpenVINO, ONNX Runtime and PyTorch on the same machine.

    python3 benches/peers/run.py                     # makes target/peers/env from PyPI, builds, runs
    python3 benches/peers/run.py --networks resnet50 --batches 16 --threads 1 --rounds 30

Every engine gets the same seeded weights (torchvision's networks, exported to ONNX for the engines
that read it) and the same pictures; outputs must agree before anything is timed. Engines take
turns, one run each, in every round; the table shows medians, and the median of the ratios within a
round: to `fruitcore`, to `fruitcore-bf16` for another engine's bf16. Before each turn the machine is
probed with multiply-adds on registers; the last column is over the rounds that found it undisturbed.
Reduced precisions must agree with f32 as far as their rounding goes. `--python` uses an interpreter that has the packages already.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

from rounds import Rounds

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "peers"
PACKAGES = [
    "numpy", "filelock", "fsspec", "jinja2", "networkx", "sympy", "typing_extensions", "pillow",
    "onnx", "onnxscript", "onnxruntime", "openvino", "safetensors",
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="mobilenet-v2,resnet50,vgg16")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--engines", default="openvino,onnxruntime,torch,fruitcore-bf16,openvino-bf16,fruitcore-int8")
    parser.add_argument("--python", help="interpreter with torch, torchvision, onnx, onnxruntime, openvino, safetensors")
    parser.add_argument("--engine", help="built peer_engine; built with cargo if not given")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def bootstrap(args, script, packages, built):
    """Makes the environment and what is to be built, then runs `script` inside."""
    WORK.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads), GOMP_SPINCOUNT="0", KMP_BLOCKTIME="0")
    python = args.python
    if not python:
        folder, stubs = WORK / "env", WORK / "stubs"
        python = str(folder / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--quiet"]
        if not (WORK / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run(pip + ["--no-deps", "torch", "torchvision"], check=True)
            subprocess.run(pip + PACKAGES, check=True)
            sys.path.insert(0, str(HERE))
            import torch_cpu_stubs

            torch_cpu_stubs.make(next(folder.glob("lib/python3*/site-packages")), stubs)
            (WORK / "ready").touch()
        if packages:
            subprocess.run(pip + packages, check=True)
        env["LD_LIBRARY_PATH"] = f"{stubs}:{env.get('LD_LIBRARY_PATH', '')}"
    command = [python, script, "--inside", *sys.argv[1:]]
    for option, what in built.items():
        if not getattr(args, option):
            subprocess.run(["cargo", "build", "--release", *what], cwd=ROOT, check=True)
            target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
            program = target / "examples" / what[-1] if "--example" in what else target / what[-1]
            command += [f"--{option}", str(program)]
    return subprocess.run(command, env=env, check=False).returncode


def bare(name):
    """torchvision's network up to the features, with its own random weights."""
    import torch
    import torchvision

    net = getattr(torchvision.models, name.replace("-", "_"))(weights=None)
    if name == "mobilenet-v2":
        net.classifier = torch.nn.Identity()
    elif name == "resnet50":
        net.fc = torch.nn.Identity()
    else:
        net.classifier = net.classifier[:5]  # fc1, ReLU, Dropout, fc2, ReLU
    return net


def model(name):
    """The same with seeded weights that keep activations in range."""
    import torch

    torch.manual_seed(1)
    net = bare(name)
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.weight.data.uniform_(0.5, 1.0)
            part.bias.data.uniform_(-0.2, 0.2)
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    return net.eval()


class Ours:
    def __init__(self, args, name, weights, pictures, precision="f32"):
        self.features = WORK / f"features-{precision}.f32"
        source = WORK / "input.f32"
        pictures.tofile(source)
        self.process = subprocess.Popen(
            [args.engine, name, weights, source, self.features, str(args.threads), precision],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit("peer_engine failed; its message is above")

    def output(self):
        import numpy

        return numpy.fromfile(self.features, dtype=numpy.float32)

    def seconds(self):
        return self.ask("run")

    def probe(self):
        return self.ask("probe")

    def ask(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peer:
    """An engine inside this process: `run` computes the features of all pictures."""

    def __init__(self, run):
        self.run = run

    def output(self):
        return self.run().reshape(-1)

    def seconds(self):
        start = time.perf_counter()
        self.run()
        return time.perf_counter() - start

    def close(self):
        pass


def peer(kind, args, net, onnx, pictures):
    if kind == "torch":
        import torch

        torch.set_num_threads(args.threads)
        x = torch.from_numpy(pictures).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            traced = torch.jit.trace(net.to(memory_format=torch.channels_last), x)
            frozen = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

        def run():
            with torch.inference_mode():
                return frozen(x).numpy()

        return Peer(run)
    if kind == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        # Its idle threads would slow down whoever runs next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return Peer(lambda: session.run(None, {name: pictures})[0])
    import openvino

    core = openvino.Core()
    precision = "bf16" if kind.endswith("bf16") else "f32"
    config = {
        "INFERENCE_NUM_THREADS": args.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY" if len(pictures) == 1 else "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": precision,
    }
    compiled = core.compile_model(core.read_model(onnx), "CPU", config)
    request = compiled.create_infer_request()
    return Peer(lambda: request.infer([pictures])[compiled.output(0)])


def export(net, pictures, path):
    import torch

    torch.onnx.export(net, (torch.from_numpy(pictures),), str(path), dynamo=False, input_names=["x"], output_names=["y"])


def compare(args, name, batch):
    import numpy
    import safetensors.torch

    net = model(name)
    weights, onnx = WORK / f"{name}.safetensors", WORK / f"{name}.onnx"
    safetensors.torch.save_file({k: v.contiguous() for k, v in net.state_dict().items()}, weights)
    pictures = numpy.random.default_rng(2).standard_normal((batch, 3, 224, 224), dtype=numpy.float32)
    export(net, pictures, onnx)
    engines = {"fruitcore": Ours(args, name, weights, pictures)}
    for kind in args.engines.split(","):
        own, _, precision = kind.partition("-")
        if own == "fruitcore":
            engines[kind] = Ours(args, name, weights, pictures, precision or "f32")
        else:
            engines[kind] = peer(kind, args, net, onnx, pictures)
    ours = engines["fruitcore"].output()
    for kind, engine in engines.items():
        theirs = engine.output()
        error = float(numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs))
        # Random filters of MobileNetV2 make much of a rounding.
        limit = {"bf16": 0.15, "int8": 0.25}.get(kind.partition("-")[2], 1e-5)
        if not error <= limit:
            raise SystemExit(f"{name}: {kind} and fruitcore differ by {error:.1e}; nothing was timed")
    turns = {kind: lambda engine=engine: (engine.seconds(),) for kind, engine in engines.items()}
    rounds = Rounds(args.rounds, turns, engines["fruitcore"].probe)
    for engine in engines.values():
        engine.close()
    quiet = len(rounds.quiet())
    print(f"\n{name}, batch {batch}, {args.threads} threads, {args.rounds} rounds, {quiet} of them undisturbed")
    print("| engine | images/s, median | best | fruitcore is faster by | undisturbed |\n|---|---|---|---|---|")
    for kind in engines:
        ours = "fruitcore-bf16" if kind == "openvino-bf16" and "fruitcore-bf16" in engines else "fruitcore"
        median, best = batch / rounds.median(kind, rounds.every()), batch / rounds.best(kind)
        every, quiet = rounds.ratios(kind, ours)
        print(f"| {kind} | {median:.1f} | {best:.1f} | {every} | {quiet} |", flush=True)


def main():
    args = arguments()
    if not args.inside:
        return bootstrap(args, __file__, [], {"engine": ["--example", "peer_engine"]})
    for name in args.networks.split(","):
        for batch in args.batches.split(","):
            compare(args, name, int(batch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
