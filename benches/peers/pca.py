#!/usr/bin/env python3
"""`CovariancePca` beside scikit-learn's solvers on the same rows, 20,000 of them to 50 components.

    python3 benches/peers/pca.py                            # makes target/peers/env from PyPI, builds, runs
    python3 benches/peers/pca.py --columns 2048 --rounds 9

The solvers take turns, one fit each in every round, so that noise meets all of them, with a pause before each: threads
of a library may spin for some time after their work, which would be the next one's loss. The table has the
median seconds, the median CPU seconds, and the median of the ratios to this crate within a round: of all, and of those
in which multiply-adds on registers, tried before each turn, found the machine undisturbed.
Ours must agree with scikit-learn's in f64 to 1e-6 before anything is timed; the table says how far each solver's
variances are from those. `--mean` moves all rows, as features after an activation function lie: sums in f32 lose
digits by that. The rows are the sum of two uniform
variables: no spectrum is flatter, none harder for a solver of few components.
"""

import sys
import time

from driven import Driven, cpu
from environment import bootstrap, build, options
from rounds import Rounds

ROWS, KEPT = 20_000, 50
PAUSE = 0.15  # seconds


def solvers(names):
    """A solver and the precision of its rows, which is the one it computes in."""
    from sklearn.decomposition import PCA, IncrementalPCA

    every = {
        "PCA covariance_eigh": (lambda: PCA(KEPT, svd_solver="covariance_eigh"), "float32"),
        "PCA covariance_eigh, rows in f64": (lambda: PCA(KEPT, svd_solver="covariance_eigh"), "float64"),
        "IncrementalPCA, batches of 1,000": (lambda: IncrementalPCA(KEPT, batch_size=1000), "float32"),
        "PCA auto": (lambda: PCA(KEPT), "float32"),
    }
    return {name: it for name, it in every.items() if any(s in name for s in names.split(","))}


def arguments():
    parser = options(__doc__)
    parser.add_argument("--columns", default="1280,2048")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--solvers", default="PCA", help="parts of their names")
    parser.add_argument("--mean", type=float, default=0.0)
    parser.add_argument("--program", help="built peer_pca; built with cargo if not given")
    return parser.parse_args()


def main():
    args = arguments()
    if not args.inside:
        return bootstrap(args, __file__, {"program": lambda: build("--features", "rayon", "--example", "peer_pca")})
    import numpy as np
    import sklearn
    from sklearn.decomposition import PCA

    print("scikit-learn", sklearn.__version__, "numpy", np.__version__)
    for columns in map(int, args.columns.split(",")):
        rng = np.random.default_rng(1)
        x = rng.random((ROWS, columns), dtype=np.float32) + rng.random((ROWS, columns), dtype=np.float32) - 1
        x += np.float32(args.mean)
        ours = Driven(args.program, x, KEPT)
        # Exact in f64; the default of f32 sums is good to a few 1e-6 only.
        rows = {"float32": x, "float64": x.astype(np.float64)}
        exact = PCA(KEPT, svd_solver="covariance_eigh").fit(rows["float64"]).explained_variance_
        found = np.array(ours.ask("fit")[0][2:])

        def off(variances):
            return np.max(np.abs(variances / exact - 1))

        worst = off(found)
        assert worst < 1e-6, f"variances differ by {worst:.1e}"
        errors = {"fruitcore": worst}

        def probe():
            time.sleep(PAUSE)
            return ours.ask("probe")[0][0]

        def own():
            (wall, part, *_), used = ours.ask("fit")
            return wall, used, part

        def theirs(name, make, precision):
            start, before = time.perf_counter(), cpu()
            fitted = make().fit(rows[precision])
            costs = time.perf_counter() - start, cpu() - before
            errors[name] = off(fitted.explained_variance_)
            return costs

        turns = {name: lambda name=name, it=it: theirs(name, *it) for name, it in solvers(args.solvers).items()}
        found = Rounds(args.rounds, {"fruitcore": own, **turns}, probe)
        ours.close()
        every, quiet = found.every(), found.quiet()
        alone = found.median("fruitcore", every, 2)
        print(f"{columns} columns, mean {args.mean}; fruitcore's fit alone {alone:.3f} s; {len(quiet)} of {len(every)} rounds undisturbed")
        for name in found.turns:
            ratio, undisturbed = found.ratios(name, "fruitcore")
            print(
                f"  {name:34}{found.median(name, every):8.3f} s{found.median(name, every, 1):8.2f} CPU s"
                f"   fruitcore is {ratio} times as fast, undisturbed {undisturbed}, variances to {errors[name]:.0e}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
