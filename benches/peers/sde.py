#!/usr/bin/env python3
"""Lays ndsm's simulation beside JAX and NumPy on this machine, in turns.

    pip install jax numpy
    cargo build --release --example throughput
    python benches/peers/sde.py [WORK ...] [--threads 1] [--rounds 5]

Works: `langevin` (8 spherical components in the plane, 100,000 paths x 100 steps, f32), `langevin-16` (10 components with full
covariances in 16 dimensions, 10,000 paths x 100 steps, f32), `well-em` and `well-sra1` (double well by Euler-Maruyama and by SRA1,
100,000 paths x 1,000 steps, f64). JAX has its paths on the last axis and one compiled loop; NumPy a loop of vector operations.
Printed: medians in ms, the ratio to each, and E of the last points' mean square (of `langevin`: of ln pi), which must agree to 2 %.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def mixture(np, work):
    """Weights, means and covariances, as the example makes them."""
    if work == "langevin":
        angle = np.arange(8) * np.pi / 4
        m = 4 * np.stack([np.cos(angle), np.sin(angle)], 1)
        return np.arange(1, 9) / 36, m, np.linspace(.4, .75, 8)[:, None, None] ** 2 * np.eye(2)
    i, j, k = np.arange(16)[:, None], np.arange(16)[None], np.arange(10)[:, None, None]
    m = 2 * np.sin(1.7 * np.arange(10)[:, None] + 0.9 * np.arange(16)[None])
    a = np.eye(16) * .7 + np.cos(1.3 * k + .7 * i + 1.1 * j) / 4
    return np.full(10, .1), m, a @ a.transpose(0, 2, 1)


def build(work, xp, normal, loop):
    """A function that runs the work once and returns the last points, [d, n]. `normal(k, shape)`; `loop(step, x, steps)`."""
    import numpy as np
    if work.startswith("well"):
        n, steps, h, sigma = 100_000, 1000, 0.01, 0.8
        f = lambda x: x - x * x * x

        def em(x, k):
            return x + h * f(x) + sigma * h ** .5 * normal(k, 0, x.shape)

        def sra1(x, k):
            w, area = h ** .5 * normal(k, 0, x.shape), (h / 12) ** .5 * normal(k, 1, x.shape)
            fx = f(x)
            z = x + .75 * h * fx + 1.5 * sigma * (.5 * w + area)
            return x + h * (fx / 3 + 2 / 3 * f(z)) + sigma * w
        return loop(em if work == "well-em" else sra1, xp.zeros((1, n)), steps)
    w, m, c = mixture(np, work)
    n = 100_000 if work == "langevin" else 10_000
    p = np.linalg.inv(c)
    const = np.log(w) - .5 * np.linalg.slogdet(c)[1]
    chol = np.linalg.cholesky(p).transpose(0, 2, 1).astype("f")      # |L^T (x - m)|^2
    white, p, m, const = chol, p.astype("f"), m.astype("f"), const.astype("f")
    spherical = work == "langevin"
    inverse = p[:, 0, 0]

    def score(x):
        if spherical:
            dx, dy = m[:, 0, None] - x[0], m[:, 1, None] - x[1]
            logits = const[:, None] - .5 * inverse[:, None] * (dx * dx + dy * dy)
        else:
            y = xp.einsum("kij,jn->kin", white, x) - np.einsum("kij,kj->ki", white, m)[:, :, None]
            logits = const[:, None] - .5 * (y * y).sum(1)
        r = xp.exp(logits - logits.max(0))
        r = r / r.sum(0)
        if spherical:
            r = r * inverse[:, None]
            return xp.stack([(r * dx).sum(0), (r * dy).sum(0)])
        return -xp.einsum("kij,kin->jn", white, r[:, None] * y)
    start = (4 * np.random.default_rng(0).standard_normal((m.shape[1], n))).astype("f")
    return loop(lambda x, k: x + np.float32(.005) * score(x) + np.float32(.1) * normal(k, 0, x.shape, "f"), xp.asarray(start), 100)


def numpy_work(work):
    import numpy as np
    rng = np.random.default_rng(1)

    def loop(step, x0, steps):
        def run():
            x = x0
            for k in range(steps):
                x = step(x, k)
            return x
        return run
    return build(work, np, lambda k, which, shape, t="d": rng.standard_normal(shape, dtype=t), loop)


def jax_work(work):
    import jax, jax.numpy as jnp
    jax.config.update("jax_enable_x64", work.startswith("well"))

    def loop(step, x0, steps):
        @jax.jit
        def scan(key, x):
            return jax.lax.scan(lambda x, k: (step(x, k), None), x, jax.random.split(key, steps))[0]
        return lambda: scan(jax.random.key(0), x0).block_until_ready()
    return build(work, jnp, lambda k, which, shape, t="d": jax.random.normal(jax.random.fold_in(k, which), shape, t), loop)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("works", nargs="*", default=["langevin", "langevin-16", "well-em", "well-sra1"])
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--program", default=ROOT / "target/release/examples/throughput")
    a = p.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: a.threads])
    for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC", "PJRT_NPROC"):
        os.environ[k] = str(a.threads)
    os.environ |= {"JAX_PLATFORMS": "cpu"}
    import numpy as np
    print(f"{a.threads} thread(s)\n\n| work | ndsm, ms | jax, ms | numpy, ms | against jax | against numpy | mean square: ndsm, jax, numpy |\n|---|---|---|---|---|---|---|")
    bad = False
    for work in a.works:
        calls, ms, ends = {"jax": jax_work(work), "numpy": numpy_work(work)}, {"ndsm": [], "jax": [], "numpy": []}, {}
        calls["jax"]()                                                # compiles
        for turn in range(a.rounds):
            for name, call in calls.items():
                if name == "numpy" and turn >= 2:
                    continue                                          # ten times as slow: two turns will do
                t = time.perf_counter()
                ends[name] = call()
                ms[name].append((time.perf_counter() - t) * 1e3)
            line = subprocess.run([a.program, work, "--threads", str(a.threads), "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
            line = json.loads(line)
            ms["ndsm"].append(line["ms_median"])
        square = {k: float((np.asarray(v, "d") ** 2).mean()) for k, v in ends.items()} | {"ndsm": line["extra"]["mean_square"]}
        own, jax, numpy = (statistics.median(ms[k]) for k in ("ndsm", "jax", "numpy"))
        bad |= any(abs(square[k] / square["ndsm"] - 1) > .02 for k in ends)
        print(f"| {work} | {own:.4g} | {jax:.4g} | {numpy:.4g} | {jax / own:.2f} | {numpy / own:.2f} | {square['ndsm']:.4f} {square['jax']:.4f} {square['numpy']:.4f} |", flush=True)
    sys.exit(bad)


if __name__ == "__main__":
    main()
