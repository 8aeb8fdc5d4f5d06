#!/usr/bin/env python3
"""Clusters and maps beside scikit-learn and openTSNE, on the same components.

    python3 benches/peers/explore.py [--rows N] [--classes K] [--rounds N] [--only kmeans,tsne] [FILE.parquet ...]

Makes target/peers/env from PyPI and builds first. All take turns in one process tree, on the same rows: those of a
generated turntable (classes of unequal size on closed curves, a falling spectrum), then those of each FILE that
`fruitcore run` wrote (components/part-*.parquet, with labels). Prints inertia, adjusted Rand index, wall and CPU seconds
of k-means; trustworthiness, neighbours kept and seconds of t-SNE.
"""

import itertools
import sys
import time

from driven import Driven, cpu
from environment import CORES, bootstrap, build, options
from rounds import Rounds


def turntable(n, k, d=50, seed=1):
    """Components as a turntable gives them: k overlapping classes, each a closed curve with noise."""
    import numpy as np

    rng = np.random.default_rng(seed)
    scale = 6.0 / np.sqrt(1 + np.arange(d))
    share = rng.dirichlet(np.full(k, 5.0))
    labels = np.sort(rng.choice(k, n, p=share))
    means = rng.normal(size=(k, d)) * scale
    curves = rng.normal(size=(k, 4, d)) * scale * 0.45
    t = rng.uniform(0, 2 * np.pi, n)
    waves = np.stack([np.cos(t), np.sin(t), 0.5 * np.cos(2 * t), 0.5 * np.sin(2 * t)], 1)
    rows = means[labels] + np.einsum("nw,nwd->nd", waves, curves[labels])
    rows += rng.normal(size=(n, d)) * scale * 0.45
    return rows.astype(np.float32), labels


def of_files(files):
    import numpy as np
    import pyarrow.parquet as pq

    tables = [pq.read_table(f) for f in files]
    rows = np.concatenate([np.stack(t["components"].to_numpy(zero_copy_only=False)) for t in tables])
    names = np.concatenate([t["label"].to_numpy(zero_copy_only=False) for t in tables])
    return np.ascontiguousarray(rows, dtype=np.float32), np.unique(names, return_inverse=True)[1]


def clusters(ours, rows, labels, k, rounds):
    import numpy as np
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    # Each round has its seed.
    seeds, their_seeds = itertools.count(), itertools.count()

    def own():
        (wall, inertia), used = ours.ask(f"kmeans {k} {next(seeds)} {ours.out}")
        return wall, used, inertia, adjusted_rand_score(labels, np.fromfile(ours.out, dtype=np.uint32))

    def theirs():
        start, before = time.perf_counter(), cpu()
        fit = KMeans(k, n_init=10, random_state=next(their_seeds)).fit(rows)
        took = time.perf_counter() - start, cpu() - before
        return *took, fit.inertia_, adjusted_rand_score(labels, fit.labels_)

    name = "KMeans(n_init=10)"
    found = Rounds(rounds, {"fruitcore": own, name: theirs}, lambda: ours.ask("probe")[0][0])
    every, quiet = found.every(), found.quiet()
    print(f"  k-means, k = {k}, medians of {rounds} seeds; {len(quiet)} rounds undisturbed")
    for who in found.turns:
        wall, used, inertia, rand = (found.median(who, every, column) for column in range(4))
        print(f"    {who:20}{wall:8.2f} s{used:8.2f} CPU s   inertia {inertia:.6g}   ARI {rand:.4f}")
    worst = max(turn[2] for turn in found.turns["fruitcore"]) / min(turn[2] for turn in found.turns[name]) - 1
    ratio = found.ratio(name, "fruitcore", every, 1)
    print(f"    our worst inertia to their best: {100 * worst:+.2f} %; {ratio:.1f} times fewer CPU seconds")


def faithful(rows, points, k=12, most=3000, seed=0):
    """Trustworthiness and the share of k neighbours kept, over a sample of rows compared with all."""
    import numpy as np

    rng = np.random.default_rng(seed)
    n = len(rows)
    chosen = np.sort(rng.choice(n, min(n, most), replace=False))
    kept = penalty = 0
    for i in chosen:
        far = np.square(rows - rows[i]).sum(1)
        flat = np.square(points - points[i]).sum(1)
        far[i] = flat[i] = np.inf
        near = np.argpartition(flat, k)[:k]
        ranks = np.empty(n, dtype=np.int64)
        ranks[np.argsort(far, kind="stable")] = np.arange(1, n + 1)
        kept += np.count_nonzero(ranks[near] <= k)
        penalty += np.maximum(ranks[near] - k, 0).sum()
    m = len(chosen)
    return 1 - 2 * penalty / (m * k * (2 * n - 3 * k - 1)), kept / (m * k)


def maps(ours, rows, threads):
    import numpy as np
    from openTSNE import TSNE

    print("  t-SNE, perplexity 30, 250 + 500 steps")
    (wall,), used = ours.ask(f"tsne 0 {ours.out}")
    points = np.fromfile(ours.out, dtype=np.float32).reshape(-1, 2)
    results = [("fruitcore", wall, used, points)]
    start, before = time.perf_counter(), cpu()
    made = TSNE(perplexity=30, n_jobs=threads, random_state=0).fit(rows)
    results.append(("openTSNE", time.perf_counter() - start, cpu() - before, np.asarray(made)))
    for name, wall, used, points in results:
        trust, kept = faithful(rows, points)
        print(f"    {name:12}{wall:8.1f} s{used:8.1f} CPU s   trustworthiness {trust:.4f}   neighbours kept {kept:.4f}")


def arguments():
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--classes", type=int, default=131)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="kmeans,tsne")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--program", help="built peer_explore; built with cargo if not given")
    parser.add_argument("files", nargs="*")
    return parser.parse_args()


def main():
    args = arguments()
    if not args.inside:
        return bootstrap(args, __file__, {"program": lambda: build("--features", "report", "--example", "peer_explore")})
    import numpy as np

    sets = []
    if args.rows:
        sets.append(("turntable", *turntable(args.rows, args.classes)))
    if args.files:
        sets.append((args.files[0], *of_files(args.files)))
    for name, rows, labels in sets:
        k = len(np.unique(labels))
        print(f"{name}: {rows.shape[0]} x {rows.shape[1]}, {k} classes", flush=True)
        ours = Driven(args.program, rows)
        if "kmeans" in args.only:
            clusters(ours, rows, labels, k, args.rounds)
        if "tsne" in args.only:
            maps(ours, rows, args.threads)
        ours.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
