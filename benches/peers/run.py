#!/usr/bin/env python3
"""This crate's networks beside OpenVINO, ONNX Runtime, PyTorch, Burn, tract and rten on the same machine.

    python3 benches/peers/run.py                     # makes target/peers/env from PyPI, builds, runs
    python3 benches/peers/run.py --networks resnet50 --batches 16 --threads 1 --rounds 30
    python3 benches/peers/run.py --engines burn-flex,tract,rten    # a long build first
    python3 benches/peers/run.py --engines openvino --isa avx2     # as on a processor without AVX-512

Every engine gets the same seeded weights (torchvision's networks, exported to ONNX for the engines
that read it) and the same pictures; outputs must agree before anything is timed. Engines take
turns, one run each, in every round; the table shows medians, and the median of the ratios within a
round: to `fruitcore`, to `fruitcore-bf16` for another engine's bf16. Before each turn the machine is
probed with multiply-adds on registers; the last column is over the rounds that found it undisturbed.
Reduced precisions must agree with f32 as far as their rounding goes. `--python` uses an interpreter that has the
packages of requirements.txt already.

`burn-flex` (Burn's own convolutions on its `flex` device), `tract` and `rten` are a package of their own, `engines/`,
whose build takes half an hour of a core: they take part only when named. They are compiled for this very processor
(`-C target-cpu=native`) and with Burn's features `simd`, `rayon` and `x86-v4`; fruitcore is compiled for any, as it is
shipped.
"""

import os
import sys
import time

from driven import Asked
from environment import CORES, HERE, WORK, bootstrap, build, options
from rounds import Rounds

# Those of the package in engines/.
RUST = ("burn-flex", "tract", "rten")


def arguments():
    parser = options(__doc__)
    parser.add_argument("--networks", default="mobilenet-v2,resnet50,vgg16")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--engines", default="openvino,onnxruntime,torch,fruitcore-bf16,openvino-bf16,fruitcore-int8")
    parser.add_argument("--isa", help="avx2: no more than these instructions, for fruitcore and OpenVINO; name no other engines")
    parser.add_argument("--engine", help="built peer_engine; built with cargo if not given")
    parser.add_argument("--peer-engines", help="built peer_engines; built with cargo if not given and needed")
    return parser.parse_args()


def rust():
    """Builds the engines in Rust, as fast as they can be made on this machine."""
    package, target = HERE / "engines", WORK / "engines"
    return build("--bin", "peer_engines", package=package, target=target, flags="-C target-cpu=native")


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


def saved(net, path):
    """Its weights, for the programs."""
    import safetensors.torch

    safetensors.torch.save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
    return path


class Program(Asked):
    """An engine that is a program: `COMMAND INPUT FEATURES ARGUMENTS`."""

    def __init__(self, kind, command, pictures, *arguments):
        self.features = WORK / f"features-{kind}.f32"
        source = WORK / "input.f32"
        pictures.tofile(source)
        super().__init__(kind, *command, source, self.features, *arguments)

    def output(self):
        import numpy

        return numpy.fromfile(self.features, dtype=numpy.float32)

    def seconds(self):
        return self.answer("run")[0]

    def probe(self):
        return self.answer("probe")[0]


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

    net = model(name)
    weights, onnx = saved(net, WORK / f"{name}.safetensors"), WORK / f"{name}.onnx"
    pictures = numpy.random.default_rng(2).standard_normal((batch, 3, 224, 224), dtype=numpy.float32)
    export(net, pictures, onnx)
    own = [args.engine, name, weights]
    isa = [args.isa] if args.isa else []
    engines = {"fruitcore": Program("fruitcore", own, pictures, args.threads, "f32", *isa)}
    for kind in args.engines.split(","):
        maker, _, precision = kind.partition("-")
        if maker == "fruitcore":
            engines[kind] = Program(kind, own, pictures, args.threads, precision or "f32", *isa)
        elif kind in RUST:
            command = [args.peer_engines, kind, name, weights if maker == "burn" else onnx]
            engines[kind] = Program(kind, command, pictures, args.threads)
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


def each(args, compare):
    """All networks and batches that were asked for."""
    for name in args.networks.split(","):
        for batch in args.batches.split(","):
            compare(args, name, int(batch))
    return 0


def main():
    args = arguments()
    if args.isa:
        os.environ["ONEDNN_MAX_CPU_ISA"] = args.isa.upper()
    if not args.inside:
        programs = {"engine": lambda: build("--example", "peer_engine")}
        if any(kind in RUST for kind in args.engines.split(",")):
            programs["peer_engines"] = rust
        return bootstrap(args, __file__, programs)
    return each(args, compare)


if __name__ == "__main__":
    sys.exit(main())
