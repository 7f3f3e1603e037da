#!/usr/bin/env python3
"""Lays ndsm beside JAX, PyTorch, burn and candle on this machine: the same inputs, the same cores, in turns.

    pip install -r benches/peers/requirements.txt
    cargo build --release --example throughput
    cargo build --release --manifest-path benches/peers/rust/Cargo.toml
    python benches/peers/compare.py [WORK ...] [--threads 1] [--rounds 7]

Every library runs in a process of its own, pinned to the first cores; a round gives each a turn of 0.3 s or more, so that
whatever else the machine does falls on all alike (still, a busy machine says nothing about two threads). Printed: medians over
all turns; the ratio to the best peer, above 1 where ndsm is faster; and the ratio to the floor, the time that the work's
products alone take at the best rate seen in the same run for a product of two 1,024 x 1,024 matrices. Exits 1 if losses or
outputs do not agree to 1e-4 (of random samples: the standard deviation to 3 %).
"""
import argparse, json, multiprocessing, os, pathlib, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL, LARGE = [14, 128, 128, 128, 2], [64, 512, 512, 512, 64]
TRAINED = {"mlp-small": (SMALL, 1024), "mlp-large": (LARGE, 512)}
INFERRED = {"infer-1": 1, "infer-4096": 4096}
SAMPLES, STEPS, IMAGES, WIDTH = 10_000, 100, 64, 32
WORKS = [*TRAINED, "unet", *INFERRED, "sample"]
GEMM = "gemm-1024x1024x1024"


# --- inputs: files that all read
def unet_layers():
    """(name, inputs, outputs, kernel, side of the result); kernel 0: dense."""
    c = WIDTH
    yield from [("t0", c, 4 * c, 0, 1), ("t1", 4 * c, 4 * c, 0, 1), ("in", 1, c, 3, 28), ("out", c, 1, 3, 28)]
    yield from [("down0", c, c, 3, 14), ("down1", 2 * c, 2 * c, 3, 7), ("up1", 2 * c, 2 * c, 3, 14), ("up0", 2 * c, 2 * c, 3, 28)]
    for name, i, o, side in [("d0", c, c, 28), ("d1", c, 2 * c, 14), ("d2", 2 * c, 2 * c, 7), ("u1", 4 * c, 2 * c, 14), ("u0", 3 * c, c, 28)]:
        yield from [(name + ".c0", i, o, 3, side), (name + ".c1", o, o, 3, side), (name + ".t", 4 * c, o, 0, 1)]
        if i != o:
            yield (name + ".s", i, o, 1, side)


def write_inputs(work, folder):
    """Draws the inputs and returns the operations of the products of one unit of work."""
    import numpy as np
    r = np.random.default_rng(20)
    save = lambda name, x: np.save(folder / f"{name}.npy", np.ascontiguousarray(x, "f"))
    if work == GEMM:
        save("a", r.standard_normal((1024, 1024))), save("b", r.standard_normal((1024, 1024)))
        return 2 * 1024**3
    if work == "unet":
        flops = 0
        for name, i, o, k, side in unet_layers():
            shape = (o, i, k, k) if k else (o, i)
            w = r.uniform(-1, 1, shape) / np.sqrt(np.prod(shape[1:]))
            save(f"p.{name}.w", w), save(f"p.{name}.b", 0.1 * r.standard_normal(o))
            flops += 2 * IMAGES * w.size * side**2
            norm = {"c0": name[:-2] + "n0", "c1": name[:-2] + "n1"}.get(name[-2:], "n" if name == "out" else None)
            if norm:
                save(f"p.{norm}.g", r.uniform(0.5, 1.5, i)), save(f"p.{norm}.b", 0.1 * r.standard_normal(i))
        save("x", r.standard_normal((IMAGES, 1, 28, 28))), save("z", r.standard_normal((IMAGES, 1, 28, 28))), save("t", r.random(IMAGES))
        return 3 * flops
    sizes, batch = TRAINED.get(work, (SMALL, 1024))
    for l, (i, o) in enumerate(zip(sizes, sizes[1:])):
        save(f"w{l}", r.uniform(-1, 1, (i, o)) / np.sqrt(i))
    save("x", r.standard_normal((SAMPLES, 2) if work == "sample" else (batch, sizes[0])))
    save("z", r.standard_normal((batch, sizes[-1]))), save("sigma", r.uniform(0.1, 1, (batch, 1)))
    rows = SAMPLES * STEPS if work == "sample" else INFERRED.get(work, 3 * batch)
    return rows * sum(2 * i * o for i, o in zip(sizes, sizes[1:]))


# --- the two libraries behind one set of names: lib(threads) gives what `build` below needs
class Jax:
    def __init__(self, threads):
        import jax, jax.numpy as jnp
        self.jax, self.np, self.silu, self.jit, self.compiled = jax, jnp, jax.nn.silu, jax.jit, True
        self.cat = lambda parts, axis=-1: jnp.concatenate(parts, axis)
        self.wait = lambda x: jax.block_until_ready(x)

    def array(self, x):              # images and weights with the channels last, and inputs before outputs
        return self.np.asarray(x)

    def layer(self, w):
        return self.np.asarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T)

    image = lambda self, x: self.np.asarray(x.transpose(0, 2, 3, 1))
    dense = lambda self, x, w, b: x @ w + b
    double = lambda self, x: x.repeat(2, 1).repeat(2, 2)
    spread = lambda self, x: x[:, None, None, :]

    def conv(self, x, w, b, stride):
        pad = [(w.shape[0] // 2,) * 2] * 2
        return self.jax.lax.conv_general_dilated(x, w, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC")) + b

    def norm(self, x, g, b):
        n, h, w, c = x.shape
        y = x.reshape(n, h * w, 8, c // 8)
        mean, var = y.mean((1, 3), keepdims=True), y.var((1, 3), keepdims=True)
        return ((y - mean) / self.np.sqrt(var + 1e-5)).reshape(x.shape) * g + b

    def normals(self, key, like):
        return self.jax.random.normal(self.jax.random.key(key), like.shape)

    def trainer(self, loss, p):
        jax, np = self.jax, self.np
        tree = jax.tree.map

        @jax.jit
        def update(p, m, v, t):
            value, g = jax.value_and_grad(loss)(p)
            m, v = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g), tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            rate, root = 1e-3 / (1 - 0.9**t), 1 / (1 - 0.999**t)
            return tree(lambda p, m, v: p - rate * m / (np.sqrt(root * v) + 1e-8), p, m, v), m, v, value
        state = [p, tree(np.zeros_like, p), tree(np.zeros_like, p), 0]

        def step():
            *state[:3], value = update(*state[:3], np.float32(state[3] + 1))
            state[3] += 1
            return float(value)
        return step


class Torch:
    def __init__(self, threads):
        import torch
        torch.set_num_threads(threads)
        self.t, self.np, f = torch, torch, torch.nn.functional
        self.silu, self.cat, self.wait, self.array = f.silu, lambda parts, axis=1: torch.cat(parts, axis), lambda x: x, torch.tensor
        self.dense, self.norm = f.linear, lambda x, g, b: f.group_norm(x, 8, g, b)
        self.conv = lambda x, w, b, stride: f.conv2d(x, w, b, stride, w.shape[-1] // 2)
        self.double = lambda x: f.interpolate(x, scale_factor=2)
        self.spread = lambda x: x[:, :, None, None]
        self.image = lambda x: torch.tensor(x).to(memory_format=torch.channels_last)
        self.jit = torch.inference_mode()

    def layer(self, w):
        return self.image(w) if w.ndim == 4 else self.t.tensor(w)

    def normals(self, key, like):
        return self.t.randn_like(like)

    def trainer(self, loss, p):
        for v in p.values():
            v.requires_grad_()
        adam = self.t.optim.Adam(p.values(), 1e-3, fused=True)

        def step():
            adam.zero_grad()
            value = loss(p)
            value.backward()
            adam.step()
            return value.item()
        return step


class Compile(Torch):
    def trainer(self, loss, p):
        return super().trainer(self.t.compile(loss), p)


PEERS = {"JAX": Jax, "PyTorch": Torch, "torch.compile": Compile}
RUST = ["burn", "candle"]            # their works are in rust/


# --- the works, once for all libraries: returns (call, units per call, what to compare)
def build(work, lib, load):
    np = lib.np
    if work == GEMM:
        a, b = lib.array(load("a")), lib.array(load("b"))
        product = lib.jit(lambda a, b: a @ b)
        return lambda: lib.wait(product(a, b)), 1, dict
    if work == "unet":
        return build_unet(lib, load)
    p = {f"w{l}": lib.layer(load(f"w{l}").T) for l in range(4)}
    p |= {f"b{l}": lib.array(0 * load(f"w{l}")[0]) for l in range(4)}

    def net(p, x):
        for l in range(3):
            x = lib.silu(lib.dense(x, p[f"w{l}"], p[f"b{l}"]))
        return lib.dense(x, p["w3"], p["b3"])
    if work in TRAINED:
        x, z, sigma = (lib.array(load(k)) for k in ("x", "z", "sigma"))
        return trained(lib.trainer(lambda p: ((sigma * net(p, x) + z) ** 2).sum(1).mean(), p), 20, 10)
    if work in INFERRED:
        import numpy
        x = lib.array(numpy.resize(load("x"), (INFERRED[work], 14)))
        run = lib.jit(lambda x: net(p, x))
        return lambda: lib.wait(run(x)), 1, lambda: {"first": float(run(x)[0, 0]), "mean": float(run(x).mean())}
    start, box = lib.array(load("x")), []

    def move(y, n, noise):           # dY = (Y/2 + s(Y, t)) dt + dB; features of t = 1 - n/100: sin and cos of pi t k, k = 1..6
        a = np.pi * (1 - n / STEPS) * np.arange(1, 7)
        features = np.broadcast_to(lib.cat([np.sin(a), np.cos(a)], 0), (SAMPLES, 12))
        return y + (y / 2 + net(p, lib.cat([y, features], 1))) / STEPS + noise / STEPS**0.5
    if isinstance(lib, Jax):
        jax = lib.jax
        body = lambda n, s: (move(s[0], n, jax.random.normal(s[1], start.shape)), jax.random.split(s[1])[0])
        run = jax.jit(lambda y: jax.lax.fori_loop(0, STEPS, body, (y, jax.random.key(0)))[0])
    else:
        @lib.jit
        def run(y):
            for n in range(STEPS):
                y = move(y, n, lib.normals(n, y))
            return y

    def call():
        box[:] = [lib.wait(run(start))]
    return call, 1, lambda: {"std": float(box[0].std())}


def trained(step, warm, units):
    for _ in range(warm):
        loss = step()
    return lambda: [step() for _ in range(units)], units, lambda: {f"loss_{warm}": loss}


def build_unet(lib, load):
    np, p = lib.np, {}
    for name, i, o, k, _ in unet_layers():
        p[name + ".w"], p[name + ".b"] = lib.layer(load(f"p.{name}.w")), lib.array(load(f"p.{name}.b"))
        for norm in {"c0": [name[:-2] + "n0"], "c1": [name[:-2] + "n1"]}.get(name[-2:], ["n"] if name == "out" else []):
            p[norm + ".g"], p[norm + ".b"] = lib.array(load(f"p.{norm}.g")), lib.array(load(f"p.{norm}.b"))
    x, z, t = lib.image(load("x")), lib.image(load("z")), lib.array(load("t"))

    def net(p):
        conv = lambda n, x, stride=1: lib.conv(x, p[n + ".w"], p[n + ".b"], stride)
        dense = lambda n, x: lib.dense(x, p[n + ".w"], p[n + ".b"])
        smooth = lambda n, x: lib.silu(lib.norm(x, p[n + ".g"], p[n + ".b"]))
        a = 1000 * t[:, None] * 1e4 ** (-np.arange(WIDTH // 2) / (WIDTH // 2))
        e = lib.silu(dense("t1", lib.silu(dense("t0", lib.cat([np.sin(a), np.cos(a)], 1)))))

        def block(n, x):
            h = conv(n + ".c0", smooth(n + ".n0", x)) + lib.spread(dense(n + ".t", e))
            h = conv(n + ".c1", smooth(n + ".n1", h))
            return h + (conv(n + ".s", x) if n + ".s.w" in p else x)
        s0 = block("d0", conv("in", x))
        s1 = block("d1", conv("down0", s0, 2))
        h = block("d2", conv("down1", s1, 2))
        h = block("u1", lib.cat([conv("up1", lib.double(h)), s1]))
        h = block("u0", lib.cat([conv("up0", lib.double(h)), s0]))
        return conv("out", smooth("n", h))
    return trained(lib.trainer(lambda p: ((net(p) - z) ** 2).mean(), p), 5, 1)


# --- turns
def serve(pipe, work, peer, threads, folder):
    import numpy as np
    call, units, results = build(work, PEERS[peer](threads), lambda name: np.load(folder / f"{name}.npy"))
    call()                           # the first call may compile
    pipe.send("ready")
    while pipe.recv() == "turn":
        start, ms = time.perf_counter(), []
        while not ms or time.perf_counter() - start < 0.3:
            t = time.perf_counter()
            call()
            ms.append((time.perf_counter() - t) * 1e3 / units)
        pipe.send(ms)
    pipe.send(results())


def programs(a, work, folder):
    """The commands that time themselves: ours, and the peers in Rust, which take the number of threads from the environment."""
    ours = {"ndsm": [a.program, work, "--threads", str(a.threads), "--inputs", folder, "--json"]}
    return ours | {peer: [a.rust, peer, work, "--inputs", folder] for peer in a.peers if peer in RUST and a.rust.exists()}


def once(command):
    line = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return line["ms_median"], line["extra"]


def left_out(work, peer):
    print(f"{work}: {peer} is left out, it failed", file=sys.stderr)


def measure(a, work):
    """Medians in ms, what was computed, and the operations of a unit of work."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        flops, peers, results = write_inputs(work, folder), {}, {}
        commands = programs(a, work, folder)
        ms = {name: [] for name in commands}
        for peer in (x for x in a.peers if x in PEERS):
            here, there = multiprocessing.Pipe()
            process = multiprocessing.Process(target=serve, args=(there, work, peer, a.threads, folder), daemon=True)
            process.start()
            there.close()
            try:
                here.recv()
                peers[peer], ms[peer] = here, []
            except EOFError:
                left_out(work, peer)
        for _ in range(a.rounds):
            for peer, pipe in peers.items():
                pipe.send("turn")
                ms[peer] += pipe.recv()
            for name, command in list(commands.items()):
                try:
                    turn, results[name] = once(command)
                    ms[name].append(turn)
                except subprocess.CalledProcessError:
                    if name == "ndsm":
                        raise
                    left_out(work, name)
                    del commands[name], ms[name]
        for peer, pipe in peers.items():
            pipe.send("end")
            results[peer] = pipe.recv()
    return {k: statistics.median(v) for k, v in ms.items()}, results, flops


# Largest relative differences; the last is that of the standard deviation of 10,000 random samples in two dimensions.
TOLERANCES = {"loss_20": 1e-4, "loss_5": 1e-4, "first": 1e-4, "mean": 1e-4, "std": 0.03}


def agreement(results):
    """The largest difference of a peer's result from ours, relative to its size (or 1, if that is larger), and whether it is small enough."""
    worst, good = 0.0, True
    for peer in results.values():
        for name in peer.keys() & TOLERANCES.keys():
            error = abs(peer[name] - results["ndsm"][name]) / max(abs(peer[name]), 0 if name.startswith("loss") else 1)
            worst, good = max(worst, error), good and error <= TOLERANCES[name]
    return worst, good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("works", nargs="*", metavar="WORK", help=", ".join(WORKS) + " (default: all)")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--peers", type=lambda s: s.split(","), default=[*PEERS, *RUST], help="of " + ", ".join([*PEERS, *RUST]))
    p.add_argument("--program", default=ROOT / "target/release/examples/throughput", help="our example (default: this checkout's)")
    p.add_argument("--rust", type=pathlib.Path, default=ROOT / "benches/peers/rust/target/release/ndsm-peers", help="burn and candle")
    a = p.parse_args()
    if unknown := [x for x in [*a.works, *a.peers] if x not in [*WORKS, *PEERS, *RUST]]:
        p.error(f"unknown: {', '.join(unknown)}")
    missing = "-" if a.rust.exists() else "not built"
    if missing == "not built" and {*RUST} & {*a.peers}:
        print(f"burn and candle are not built (no {a.rust}): cargo build --release --manifest-path benches/peers/rust/Cargo.toml", file=sys.stderr)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: a.threads])
    for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC", "PJRT_NPROC", "RAYON_NUM_THREADS"):
        os.environ[k] = str(a.threads)
    os.environ |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    multiprocessing.set_start_method("spawn")
    ms, _, flops = measure(a, GEMM)
    rate, bad = flops / min(ms.values()), False
    print(f"{a.threads} thread(s); best product of two 1,024 x 1,024 matrices: {rate / 1e6:.1f} GFLOP/s ({min(ms, key=ms.get)})\n")
    print("| work | ndsm, ms |", " | ".join(f"{x}, ms" for x in a.peers), "| ratio to the best peer | ratio to the floor | agreement |")
    print("|---" * (5 + len(a.peers)) + "|")
    for work in a.works or WORKS:
        ms, results, flops = measure(a, work)
        own, others = ms.pop("ndsm"), [f"{ms[x]:.4g}" if x in ms else missing if x in RUST else "-" for x in a.peers]
        best, (worst, good) = min(ms.values(), default=float("nan")) / own, agreement(results)
        bad |= not good
        print(f"| {work} | {own:.4g} |", " | ".join(others), f"| {best:.2f} | {own * rate / flops:.2f} | {worst:.0e} |", flush=True)
    sys.exit(bad)


if __name__ == "__main__":
    main()
