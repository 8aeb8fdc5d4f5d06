#!/usr/bin/env python3
"""Whole runs, JPEG files to components in Parquet with MobileNetV2, beside the scripts people write for it.

    python3 benches/peers/whole.py PICTURES            # makes target/peers/env from PyPI, builds, runs
    python3 benches/peers/whole.py PICTURES --count 5000 --rounds 5

- `opencv`: OpenCV decodes and resizes, a thread reads ahead, ONNX Runtime in batches of 16, scikit-learn's StandardScaler
  and PCA. fruitcore with the recipe `notebook-torchvision`.
- `torch`: a DataLoader with torchvision's transforms, channels-last, StandardScaler and IncrementalPCA. fruitcore with
  the recipe `torchvision-v1`.

PICTURES is a folder of labelled JPEGs; its pictures are taken again and again until there are `--count`. All use the same
seeded weights, and their explained variances must agree. Each run is a process of its own and they take turns; what is
compared is wall and CPU time of the whole process, imports included, and its peak memory. Last come the shares of
fruitcore's stages, and fruitcore with one worker and with all.
"""

import argparse
import os
import pathlib
import queue
import statistics
import subprocess
import sys
import threading
import time

from environment import CORES, WORK, bootstrap, build, options

KEPT = 50
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def arguments():
    parser = options(__doc__)
    parser.add_argument("pictures")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="opencv,torch")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--program", help="built fruitcore; built with cargo if not given")
    parser.add_argument("--as", dest="role", help=argparse.SUPPRESS)
    return parser.parse_args()


def links(pictures, count):
    """A folder of `count` labelled links to the pictures."""
    found = sorted(p for p in pathlib.Path(pictures).resolve().rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if not found:
        raise SystemExit(f"no JPEGs under {pictures}")
    folder = WORK / f"pictures-{count}"
    if not folder.exists():
        for i in range(count):
            source = found[i % len(found)]
            link = folder / source.parent.name / f"{i // len(found)}-{source.name}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)
    return folder


def finish(features, paths, labels, scaler, reduce, out):
    """Scales, reduces, writes; prints the share of variance that the components explain."""
    import pyarrow
    import pyarrow.parquet

    components = reduce.transform(scaler.transform(features)).astype("float32")
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(components.reshape(-1)), KEPT)
    table = pyarrow.table({"path": paths, "label": labels, "components": column})
    pyarrow.parquet.write_table(table, out)
    print(reduce.explained_variance_ratio_.sum())


def with_opencv(folder, threads, out):
    import cv2
    import numpy
    import onnxruntime
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    cv2.setNumThreads(1)
    files = sorted(folder.rglob("*.jp*g"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(WORK / "whole.onnx"), options, providers=["CPUExecutionProvider"])
    mean, std = (numpy.array(v, dtype=numpy.float32).reshape(3, 1, 1) for v in (MEAN, STD))
    ready = queue.Queue(4)

    def picture(file):
        image = cv2.imdecode(numpy.fromfile(file, dtype=numpy.uint8), cv2.IMREAD_COLOR)
        image = cv2.resize(cv2.GaussianBlur(image, (3, 3), 0), (224, 224), interpolation=cv2.INTER_LINEAR)
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
        return (rgb.astype(numpy.float32) / 255 - mean) / std

    def read():
        for i in range(0, len(files), 16):
            ready.put(numpy.stack([picture(f) for f in files[i : i + 16]]))
        ready.put(None)

    threading.Thread(target=read, daemon=True).start()
    features = []
    while (batch := ready.get()) is not None:
        features.append(session.run(None, {"x": batch})[0])
    features = numpy.concatenate(features)
    scaler = StandardScaler().fit(features)
    reduce = PCA(KEPT, svd_solver="covariance_eigh").fit(scaler.transform(features))
    finish(features, [str(f) for f in files], [f.parent.name for f in files], scaler, reduce, out)


def with_torch(folder, threads, out):
    import numpy
    import safetensors.torch
    import torch
    import torchvision
    from run import bare
    from sklearn.decomposition import IncrementalPCA
    from sklearn.preprocessing import StandardScaler
    from torchvision import transforms

    torch.set_num_threads(threads)
    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    data = torchvision.datasets.ImageFolder(folder, transforms.Compose(steps))
    net = bare("mobilenet-v2")
    net.load_state_dict(safetensors.torch.load_file(WORK / "whole.safetensors"))
    net = net.eval().to(memory_format=torch.channels_last)
    features = []
    with torch.inference_mode():
        for batch, _ in torch.utils.data.DataLoader(data, batch_size=32, num_workers=threads):
            features.append(net(batch.to(memory_format=torch.channels_last)).numpy())
    features = numpy.concatenate(features)
    scaler = StandardScaler().fit(features)
    reduce = IncrementalPCA(KEPT, batch_size=500).fit(scaler.transform(features))
    labels = [data.classes[label] for _, label in data.samples]
    finish(features, [path for path, _ in data.samples], labels, scaler, reduce, out)


# Seconds of work by stage, of each run.
STAGES = []

# What explained variances may differ by: JPEG decoders round differently, IncrementalPCA approximates.
PEERS = {"opencv": (with_opencv, "notebook-torchvision", 1e-2), "torch": (with_torch, "torchvision-v1", 2e-2)}


def measured(command, env):
    """Output, wall seconds, CPU seconds, MiB at most."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed")
    return output, time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def ours(args, folder, recipe, workers):
    import json

    out = WORK / "whole-out"
    subprocess.run(["rm", "-rf", out], check=True)
    command = [args.program, "run", folder, "--output", out, "--network", "mobilenet-v2", "--weights", WORK / "whole.safetensors"]
    command += ["--recipe", recipe, "--components", str(KEPT), "--workers", str(workers), "--no-report", "--quiet", "--json"]
    output, *costs = measured(list(map(str, command)), None)
    summary = json.loads(output)
    STAGES.append(summary["seconds"])
    return sum(summary["explained_variance_ratio"]), *costs


def again(args):
    """This script, as somebody else."""
    shape = ["--count", str(args.count), "--threads", str(args.threads)]
    return [sys.executable, __file__, args.pictures, *shape, "--as"]


def weights():
    import torch
    from run import model, saved

    net = model("mobilenet-v2")
    saved(net, WORK / "whole.safetensors")
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}}}
    torch.onnx.export(net, (torch.zeros(2, 3, 224, 224),), str(WORK / "whole.onnx"), dynamo=False, **names)
    return 0


def theirs(args, name):
    output, *costs = measured([*again(args), name], dict(os.environ))
    return float(output.split()[-1]), *costs


def line(name, runs, base):
    wall, cpu, memory = (statistics.median(column) for column in list(zip(*runs))[1:])
    ratios = [statistics.median(b[i] / a[i] for a, b in zip(base, runs)) for i in (1, 2)]
    print(f"| {name} | {wall:.2f} | {cpu:.2f} | {memory:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


def main():
    args = arguments()
    if not args.inside and not args.role:
        return bootstrap(args, __file__, {"program": lambda: build("--features", "cli", "--bin", "fruitcore")})
    folder = links(args.pictures, args.count)
    if args.role == "weights":
        return weights()
    if args.role:
        PEERS[args.role][0](folder, args.threads, WORK / f"whole-{args.role}.parquet")
        return 0
    # Elsewhere, or what PyTorch leaves in this process would count as its children's.
    subprocess.run([*again(args), "weights"], check=True)
    print(f"{args.count} pictures, {args.threads} threads, medians of {args.rounds} rounds")
    head = "| | wall s | CPU s | MiB at most | times ours, wall | CPU |\n|---|---|---|---|---|---|"
    for name in args.peers.split(","):
        _, recipe, slack = PEERS[name]
        runs = {"fruitcore": [], name: []}
        for _ in range(args.rounds):
            runs["fruitcore"].append(ours(args, folder, recipe, args.threads))
            runs[name].append(theirs(args, name))
            a, b = runs["fruitcore"][-1][0], runs[name][-1][0]
            if abs(a - b) > slack:
                raise SystemExit(f"explained variance differs: {a} and {b} of {name}")
        print(f"\n{recipe}, explained variance {a:.5f} and {b:.5f}\n{head}")
        for who, times in runs.items():
            line(who, times, runs["fruitcore"])
    workers = {1: [], args.threads: []}
    for _ in range(args.rounds):
        for n, runs in workers.items():
            runs.append(ours(args, folder, "notebook-torchvision", n))
    # Those of the source are mostly waited for.
    stages = [stage for stage in STAGES[0] if stage != "source"]
    medians = {stage: statistics.median(run.get(stage, 0) for run in STAGES) for stage in stages}
    shares = ", ".join(f"{stage} {100 * s / sum(medians.values()):.1f} %" for stage, s in medians.items())
    print(f"\nfruitcore's work by stage: {shares}")
    print(f"\nfruitcore by workers\n{head}")
    for n, runs in workers.items():
        line(f"{n} workers", runs, workers[args.threads])
    return 0


if __name__ == "__main__":
    sys.exit(main())
