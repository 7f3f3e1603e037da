"""The learned score of a run, from its checkpoint alone, in NumPy:

    python3 score_numpy.py runs/RUN/checkpoint.safetensors 0.1 points.npy score.npy

Of a run toward a mixture (sde.kind "langevin" or "vp", covariances full or tied) with a network "mlp" or "residual".
The tensors and what they mean: the page guide::files of the documentation.
"""
import json, sys
import numpy as np

path, t, points, out = sys.argv[1], float(sys.argv[2]), np.load(sys.argv[3]), sys.argv[4]
data = open(path, "rb").read()
size = int.from_bytes(data[:8], "little")
head = json.loads(data[8 : 8 + size])
meta = head.pop("__metadata__")
kinds = {"F32": "<f4", "F64": "<f8"}
T = {
    name: np.frombuffer(data[8 + size :][slice(*e["data_offsets"])], kinds[e["dtype"]]).reshape(e["shape"]).astype(float)
    for name, e in head.items()
}
keys = dict(line.split("=", 1) for line in meta["config"].splitlines())
beta = float(keys["sde.beta"])
alpha, sbar = np.exp(-beta * t / 2), np.sqrt(-np.expm1(-beta * t))
w = next(p for p in ("best.", "ema.", "model.") if any(name.startswith(p) and name != "best.gain" for name in T))

# Whitened points, and the score of the reference mixture there: the guide.
u = (points - T["whitening.mean"]) @ T["whitening.inverse"].T
p, m, C = T["mixture.weights"], T["mixture.means"], T["mixture.covariances"]
C = np.broadcast_to(C, (len(p), *C.shape[-2:]))
pull = -np.linalg.solve(C[None], (u[:, None] - m)[..., None])[..., 0]
log = np.log(p) - np.linalg.slogdet(C)[1] / 2 + ((u[:, None] - m) * pull).sum(-1) / 2
r = np.exp(log - log.max(1, keepdims=True))
guide = ((r / r.sum(1, keepdims=True))[..., None] * pull).sum(1)

# The network: rows [u/std, features of ell = ln(sbar^2/alpha^2)].
mean = p @ m
std = np.sqrt(np.diagonal(np.einsum("k,kij->ij", p, C) + (p * (m - mean).T) @ (m - mean)))
wave = np.pi / 14 * 32 ** (np.arange(6) / 5) * (2 * np.log(sbar / alpha) + 1)
time = np.broadcast_to(np.concatenate([np.sin(wave), np.cos(wave)]), (len(u), 12))
linear = lambda name, x: x @ T[f"{w}{name}.weight"] + T[f"{w}{name}.bias"]
silu = lambda x: x / (1 + np.exp(-x))
norm = lambda name, x: (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * T[f"{w}{name}.scale"] + T[f"{w}{name}.shift"]
h, depth = np.concatenate([u / std, time], 1), int(keys["network.depth"])
if keys["network.kind"] == '"mlp"':
    for k in range(depth):
        h = silu(linear(f"layers.{k}", h))
    net = linear(f"layers.{depth}", h)
else:
    h = linear("in", h)
    for k in range(depth):
        h = h + linear(f"b{k}.1", silu(linear(f"b{k}.0", np.concatenate([norm(f"b{k}.norm", h), time], 1))))
    net = linear("out", norm("norm", h))

# What it adds to the guide by its parametrisation, corrected by the calibration (20), in the units of the data.
factor = {'"plain"': 1, '"scaled"': 1 / sbar, '"residual"': 1 / sbar, '"preconditioned"': alpha / sbar}[keys["network.parametrisation"]]
added = factor * net - (guide if keys["network.parametrisation"] in ('"plain"', '"scaled"') else 0)
if "calibration.times" in T:
    c = [np.interp(np.log(t), np.log(T["calibration.times"]), column) for column in T["calibration.coefficients"].T]
    added = c[0] * added + c[1] * u + c[2] * guide
np.save(out, (guide + added) @ T["whitening.inverse"])
