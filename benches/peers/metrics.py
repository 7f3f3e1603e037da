#!/usr/bin/env python3
"""Lays ndsm's metrics and expectation-maximisation beside POT and scikit-learn on this machine, in turns.

    pip install numpy scikit-learn POT
    cargo build --release --example throughput
    python benches/peers/metrics.py [WORK ...] [--threads 1] [--rounds 5]

Works: `sinkhorn` (100 iterations in the log domain, 2,000 x 2,000 points, epsilon .1), `sliced-w2` (10,000 points, 256 directions),
`gmm-em` (an iteration, full covariances, n = 100,000, d = 16, k = 10), all in f64 on the same inputs. Printed: medians in ms, the
ratio, and both results: the plan's cost and the mean log-likelihood after six iterations must agree to 1e-6, the sliced distance,
whose directions are each library's own, to 5 %.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile, time, warnings

ROOT = pathlib.Path(__file__).resolve().parents[2]
AGREE = {"sinkhorn": 1e-6, "sliced-w2": .05, "gmm-em": 1e-6}


def inputs(np, work):
    r = np.random.default_rng(20)
    if work == "gmm-em":
        m, a = 3 * r.standard_normal((10, 16)), r.standard_normal((10, 16, 16)) / 4 + .7 * np.eye(16)
        k = r.integers(0, 10, 100_000)
        x = m[k] + np.einsum("nij,nj->ni", a[k], r.standard_normal((100_000, 16)))
        return {"x": x, "m0": m + r.standard_normal(m.shape)}
    n = 10_000 if work == "sliced-w2" else 2_000
    return {"x": r.standard_normal((n, 2)), "y": .3 * r.standard_normal((n, 2)) + np.where(r.random((n, 1)) < .3, 1., -1.)}


def peer(np, work, d):
    """A call that returns (milliseconds, result)."""
    if work == "gmm-em":
        from sklearn.mixture import GaussianMixture

        def fit(iterations):
            g = GaussianMixture(10, tol=0, max_iter=iterations, weights_init=np.full(10, .1), means_init=d["m0"], precisions_init=np.tile(np.eye(16) / 4, (10, 1, 1)))
            t = time.perf_counter()
            g.fit(d["x"])
            return (time.perf_counter() - t) * 1e3, g

        def call():                      # the difference leaves out validation, the start and the closing step
            (few, _), (more, g) = fit(1), fit(6)
            return (more - few) / 5, g.score(d["x"])
        return call
    import ot
    one = np.full(len(d["x"]), 1 / len(d["x"]))
    cost = ot.dist(d["x"], d["y"]) if work == "sinkhorn" else None

    def call():
        t = time.perf_counter()
        if work == "sinkhorn":
            value = (ot.bregman.sinkhorn_log(one, one, cost, .1, numItermax=100, stopThr=0, warn=False) * cost).sum()
        else:
            value = ot.sliced_wasserstein_distance(d["x"], d["y"], n_projections=256, p=2, seed=0)
        return (time.perf_counter() - t) * 1e3, value
    return call


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("works", nargs="*", default=["sinkhorn", "sliced-w2", "gmm-em"])
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--program", default=ROOT / "target/release/examples/throughput")
    a = p.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: a.threads])
    for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[k] = str(a.threads)
    warnings.simplefilter("ignore")
    import numpy as np
    print(f"{a.threads} thread(s)\n\n| work | ndsm, ms | peer, ms | ratio | results: ndsm, peer |\n|---|---|---|---|---|")
    bad = False
    for work in a.works:
        d, ms = inputs(np, work), ([], [])
        call = peer(np, work, d)
        with tempfile.TemporaryDirectory() as folder:
            for name, x in d.items():
                np.save(pathlib.Path(folder) / f"{name}.npy", x)
            for _ in range(a.rounds):
                t, theirs = call()
                ms[1].append(t)
                line = [a.program, work, "--threads", str(a.threads), "--inputs", folder, "--json"]
                line = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout)
                ms[0].append(line["ms_median"])
                ours = line["extra"].get("value", line["extra"].get("loglik"))
        own, other = map(statistics.median, ms)
        bad |= not abs(ours / theirs - 1) <= AGREE[work]
        print(f"| {work} | {own:.4g} | {other:.4g} | {other / own:.2f} | {ours:.6f} {theirs:.6f} |", flush=True)
    sys.exit(bad)


if __name__ == "__main__":
    main()
