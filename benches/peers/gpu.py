#!/usr/bin/env python3
"""This crate's networks on its `wgpu` device beside PyTorch on the same card.

    python3 benches/peers/gpu.py                                    # makes target/peers/env-cuda from PyPI, builds, runs
    python3 benches/peers/gpu.py --burn autotune,fusion,vulkan      # with more of Burn's features than the crate turns on
    python3 benches/peers/gpu.py --device cpu --side 32 --batches 1,2 --rounds 2 --seconds 0

Every engine gets the same seeded weights and pictures; features must agree before anything is timed, those in f16 and
TF32 as far as their rounding goes. Engines take turns, each for `--seconds` in every round. The first table is what a
program has, pictures in its memory to features in its memory: medians, and the median of the ratios within a round, f16
to `fruitcore-f16`, the others to `fruitcore`. The second says what bounds them: upload, computation and download, each
waited for, and the operations a second of the computation beside what the card's own products of matrices reach.
Before each turn the card is probed with such products; `undisturbed` is over the rounds that found it as fast as ever.

PyTorch's engines: `torch` is f32 as it comes, with TF32 in convolutions; `torch-f32` without; `torch-last` as `torch` with
channels last, `torch-compile` that compiled; both in f16, too. All choose cuDNN's algorithms by trying (`benchmark`),
and their pictures lie in pinned memory. What an engine has no room for is left out.

`--device cpu` is for trying the script without a GPU: Mesa's lavapipe (VK_DRIVER_FILES says where it is if there are
others) and PyTorch on the CPU. It is slow; its figures say nothing.
"""

import statistics
import sys
import time

from environment import WORK, bootstrap, build, options
from rounds import Rounds
from run import Program, each, model, saved

# TF32 in convolutions, f16, channels last, compiled.
TORCH = {
    "torch": (True, False, False, False),
    "torch-f32": (False, False, False, False),
    "torch-last": (True, False, True, False),
    "torch-f16": (True, True, True, False),
    "torch-compile": (True, False, True, True),
    "torch-compile-f16": (True, True, True, True),
}
PARTS = ("upload", "computation", "download")


def arguments():
    parser = options(__doc__)
    parser.add_argument("--networks", default="mobilenet-v2,resnet50,vgg16")
    parser.add_argument("--batches", default="16,64,256")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn")
    parser.add_argument("--side", type=int, default=224, help="of a picture")
    parser.add_argument("--engines", default=",".join(["fruitcore-f16", *TORCH]))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--burn", default="", help="Burn's features to add to those that the crate turns on")
    parser.add_argument("--program", help="built peer_gpu; built with cargo if not given")
    return parser.parse_args()


class Ours(Program):
    def costs(self, seconds):
        return tuple(self.answer(seconds))


class Torch:
    """PyTorch in this process."""

    def __init__(self, args, net, pictures, tf32, half, last, compiled):
        import torch

        self.device, self.tf32 = args.device, tf32
        self.dtype = torch.float16 if half else torch.float32
        self.layout = torch.channels_last if last else torch.contiguous_format
        self.net = net.to(self.device, self.dtype, memory_format=self.layout)
        if compiled:
            self.net = torch.compile(self.net)
        self.pictures = torch.from_numpy(pictures)
        if args.device == "cuda":
            self.pictures = self.pictures.pin_memory()

    def run(self, wait=lambda: None):
        import torch

        torch.backends.cudnn.allow_tf32 = self.tf32
        laps = [time.perf_counter()]
        with torch.inference_mode():
            x = self.pictures.to(self.device, non_blocking=True)
            laps.append(wait() or time.perf_counter())
            y = self.net(x.to(self.dtype, memory_format=self.layout)).float()
            laps.append(wait() or time.perf_counter())
            features = y.cpu()
            laps.append(time.perf_counter())
        return features, laps

    def output(self):
        return self.run()[0].numpy().reshape(-1)

    def costs(self, seconds):
        start, runs = time.perf_counter(), []
        while not runs or time.perf_counter() - start < seconds:
            whole, apart = self.run()[1], self.run(waiter(self.device))[1]
            runs.append((whole[-1] - whole[0], *(b - a for a, b in zip(apart, apart[1:]))))
        return tuple(map(statistics.median, zip(*runs)))

    def close(self):
        pass


def waiter(device):
    """Waits for what the device was given to do."""
    import torch

    return torch.cuda.synchronize if device == "cuda" else lambda: None


def products(device, size, half=False, tf32=False):
    """Operations a second of a product of matrices."""
    import torch

    a = torch.ones(size, size, device=device, dtype=torch.float16 if half else torch.float32)
    wait = waiter(device)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a @ a
    wait()
    start = time.perf_counter()
    for _ in range(4):
        a @ a
    wait()
    seconds = time.perf_counter() - start
    torch.backends.cuda.matmul.allow_tf32 = False
    return 4 * 2 * size**3 / seconds


def ceilings(device):
    """What the card is, and what it can do."""
    import torch

    if device == "cpu":
        return print(f"no GPU: lavapipe and the CPU, products in f32 {products(device, 1024) / 1e12:.2f} TFLOP/s")
    rates = [products(device, 8192, *kind) / 1e12 for kind in ((), (False, True), (True,))]
    host = torch.empty(1 << 28, dtype=torch.uint8).pin_memory()
    speeds = []
    for source, to in ((host, device), (host.to(device), "cpu")):
        start = time.perf_counter()
        source.to(to)
        torch.cuda.synchronize()
        speeds.append(host.numel() / 1e9 / (time.perf_counter() - start))
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}; products in f32, TF32 and f16, TFLOP/s:", end=" ")
    print(*(f"{rate:.0f}" for rate in rates), end="; ")
    print(f"pinned memory to the card {speeds[0]:.1f} GB/s, back {speeds[1]:.1f}")


def operations(net, pictures):
    """Of one picture; a multiply-add is two."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.from_numpy(pictures[:1]))
    return counter.get_total_flops()


def engine(args, kind, name, weights, pictures):
    if kind.startswith("fruitcore"):
        adapter = "cpu" if args.device == "cpu" else "default"
        command = [args.program, name, weights]
        return Ours(kind, command, pictures, args.side, adapter, kind.partition("-")[2] or "f32")
    made = Torch(args, model(name), pictures, *TORCH[kind])
    made.output()
    return made


def compare(args, name, batch):
    import numpy
    import torch

    net = model(name)
    weights = saved(net, WORK / f"{name}.safetensors")
    shape = (batch, 3, args.side, args.side)
    pictures = numpy.random.default_rng(2).standard_normal(shape, dtype=numpy.float32)
    work = operations(net, pictures) * batch
    exact = Torch(args, net, pictures, *TORCH["torch-f32"]).output()
    engines = {}
    for kind in ["fruitcore", *args.engines.split(",")]:
        try:
            made = engine(args, kind, name, weights, pictures)
        except (RuntimeError, SystemExit) as why:
            # Too large for the card or its driver, or a precision that it hasn't.
            print(f"{name}, batch {batch}: {kind} is left out: {str(why).splitlines()[0]}", flush=True)
            continue
        engines[kind] = made
        error = float(numpy.linalg.norm(made.output() - exact) / numpy.linalg.norm(exact))
        # TF32 and f16 both round to 11 bits; random filters of MobileNetV2 make much of that.
        limit = 1e-4 if kind in ("fruitcore", "torch-f32") else 5e-2
        if not error <= limit:
            raise SystemExit(f"{name}: {kind} differs by {error:.1e}; nothing was timed")
    turns = {kind: lambda made=made: made.costs(args.seconds) for kind, made in engines.items()}
    rounds = Rounds(args.rounds, turns, lambda: products(args.device, 4096 if args.device == "cuda" else 512))
    for made in engines.values():
        made.close()
    if args.device == "cuda":
        torch.cuda.empty_cache()
    report(f"{name}, batch {batch}, {args.side}×{args.side}", engines, rounds, batch, work)


def report(title, engines, rounds, batch, work):
    every = rounds.every()
    print(f"\n{title}, {len(every)} rounds, {len(rounds.quiet())} of them undisturbed")
    print("| engine | images/s, median | best | fruitcore is faster by | undisturbed |\n|---|---|---|---|---|")
    for kind in engines:
        ours = "fruitcore-f16" if kind.endswith("f16") else "fruitcore"
        ratios = rounds.ratios(kind, ours) if ours in engines else ("–", "–")
        median, best = batch / rounds.median(kind, every), batch / rounds.best(kind)
        print(f"| {kind} | {median:.1f} | {best:.1f} | {ratios[0]} | {ratios[1]} |")
    head = "".join(f" {part} ms |" for part in PARTS)
    print(f"\n| engine |{head} images/s of computation | TFLOP/s |\n|---|---|---|---|---|---|")
    for kind in engines:
        parts = [rounds.median(kind, every, column) for column in (1, 2, 3)]
        times = "".join(f" {1000 * part:.2f} |" for part in parts)
        print(f"| {kind} |{times} {batch / parts[1]:.1f} | {work / parts[1] / 1e12:.3g} |", flush=True)


def main():
    args = arguments()
    if not args.inside:
        features = ",".join(["wgpu", *(f"burn/{name}" for name in args.burn.split(",") if name)])
        what = ["--no-default-features", "--features", features, "--example", "peer_gpu"]
        return bootstrap(args, __file__, {"program": lambda: build(*what)}, cuda=args.device == "cuda")
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no GPU; --device cpu tries the script without one")
    torch.backends.cudnn.benchmark = True
    ceilings(args.device)
    return each(args, compare)


if __name__ == "__main__":
    sys.exit(main())
