"""Golden values for src/math and src/fit from SciPy.

Run: python3 test/golden/fit.py > test/golden/fit.json   (needs numpy and scipy; the versions are in the output)
"""
import json
import sys

import numpy as np
import scipy
from scipy import optimize, stats

SEED = 20261123
rng = np.random.default_rng(SEED)

quantiles = {
    "student": [[p, df, float(stats.t.ppf(p, df))] for p in (0.9, 0.975, 0.995) for df in (1, 2.5, 7, 40, 500)],
    "studentCdf": [[x, df, float(stats.t.cdf(x, df))] for x in (-4.0, -1.2, 0.3, 2.5) for df in (1, 3.7, 25)],
    "normal": [[p, float(stats.norm.ppf(p))] for p in (0.025, 0.5, 0.9, 0.999)],
    "chiSquare": [[p, df, float(stats.chi2.ppf(p, df))] for p in (0.05, 0.5, 0.95) for df in (1, 4, 30)],
    "fisherUpperTail": [[x, a, b, float(stats.f.sf(x, a, b))] for x in (0.5, 2.0, 6.0) for a in (1, 4) for b in (3, 17.5, 90)],
}


def random_problem(columns, observations):
    rows = rng.uniform(0, 2, (observations, columns))
    truth = np.where(rng.random(columns) < 0.4, 0, rng.uniform(0, 3, columns))
    y = rows @ truth + rng.normal(0, 0.5, observations)
    weights = rng.uniform(0.5, 4, observations)
    return rows, y, weights


def extreme(rows, y, weights, c, limit, sign):
    """Least or greatest c·β with β >= 0 and rss(β) <= limit, by a general solver from many starts."""
    columns = rows.shape[1]
    rss = lambda b: float(np.sum(weights * (y - rows @ b) ** 2))
    inside = {"type": "ineq", "fun": lambda b: limit - rss(b)}
    best = None
    centre = optimize.nnls(rows * np.sqrt(weights)[:, None], y * np.sqrt(weights))[0]
    for _ in range(40):
        start = np.abs(centre + rng.normal(0, 0.3, columns))
        found = optimize.minimize(
            lambda b: sign * float(c @ b), start, bounds=[(0, None)] * columns, constraints=[inside],
            method="SLSQP", options={"maxiter": 500, "ftol": 1e-13},
        )
        if found.success and rss(found.x) <= limit * (1 + 1e-9) and (best is None or found.fun < best):
            best = found.fun
    return sign * best


least_squares = []
for columns, observations in ((1, 4), (2, 5), (3, 6), (3, 4), (3, 12)):
    for _ in range(4):
        rows, y, weights = random_problem(columns, observations)
        beta, norm = optimize.nnls(rows * np.sqrt(weights)[:, None], y * np.sqrt(weights))
        c = rng.normal(0, 1, columns)
        limit = norm**2 + float(rng.uniform(1, 8))
        least_squares.append({
            "rows": rows.tolist(), "y": y.tolist(), "weights": weights.tolist(), "beta": beta.tolist(),
            "rss": float(norm**2), "c": c.tolist(), "limit": limit,
            "low": extreme(rows, y, weights, c, limit, 1), "high": extreme(rows, y, weights, c, limit, -1),
        })


def profile(observations, sigma, degrees, n_target):
    """Quadratic law with β >= 0 in log seconds, by a general bounded solver; profile of T(n_target)."""
    n = np.array([o[0] for o in observations], float)
    z = np.array([o[1] for o in observations])
    precision = np.array([o[2] for o in observations]) / sigma**2
    scale = np.array([np.exp(z).max(), np.exp(z).max() / n.max(), np.exp(z).max() / n.max() ** 2])
    design = np.stack([np.ones_like(n), n, n * n], 1) * scale
    target = np.array([1, n_target, n_target**2]) * scale
    residual = lambda b: np.sqrt(precision) * (z - np.log(design @ b + 1e-300))
    best = min((optimize.least_squares(residual, s, bounds=(0, np.inf), xtol=1e-15, ftol=1e-15, gtol=1e-15)
                for s in ([.3, .3, .3], [.01, .9, .1], [.01, .1, .9])), key=lambda r: r.cost)
    chi = 2 * best.cost
    limit = chi + stats.t.ppf(0.975, degrees) ** 2
    inside = {"type": "ineq", "fun": lambda b: limit - float(np.sum(residual(b) ** 2))}

    middle = float(target @ best.x)

    def end(sign):
        values = []
        for _ in range(30):
            start = np.abs(best.x * (1 + rng.normal(0, 0.1, 3)) + rng.normal(0, 0.01, 3))
            r = optimize.minimize(lambda b: sign * float(target @ b) / middle, start, bounds=[(0, None)] * 3,
                                  constraints=[inside], method="SLSQP", options={"maxiter": 1000, "ftol": 1e-10})
            if np.sum(residual(r.x) ** 2) <= limit + 1e-5:
                values.append(sign * r.fun * middle)
        return min(values) if sign > 0 else max(values)

    return {"beta": (best.x * scale).tolist(), "chiSquare": chi, "seconds": float(target @ best.x), "low": end(1), "high": end(-1)}


quadratic = []
for constant, linear, quad in ((0.02, 1e-4, 4e-8), (0.0, 2e-4, 1e-8), (0.05, 5e-5, 0.0)):
    lengths = [128, 256, 512, 1024, 2048, 4096]
    repeats, sigma = 5, 0.02
    points = [[n, float((constant + linear * n + quad * n * n) * np.exp(rng.normal(0, sigma)))] for n in lengths for _ in range(repeats)]
    z = {n: [np.log(s) for m, s in points if m == n] for n in lengths}
    ss = sum(float(np.sum((np.array(v) - np.mean(v)) ** 2)) for v in z.values())
    degrees = len(points) - len(lengths)
    pooled = float(np.sqrt(ss / degrees))
    observations = [[n, float(np.mean(z[n])), repeats] for n in lengths]
    quadratic.append({"points": points, "sigma": pooled, "degrees": degrees, "observations": observations,
                      "at": 16384, **profile(observations, pooled, degrees, 16384)})

# A physical law: MAP of log factors with normal priors, by a general least-squares solver.
components = {"gemm": [0.0, 5e-4, 0.0], "attention": [0.0, 0.0, 1.2e-7], "overhead": [0.01, 0.0, 0.0]}
spreads = [0.15, 0.4, 0.5]
true_factors = [1.1, 1.5, 0.8]
lengths = [128, 256, 512, 1024]
table = np.array([[c[0] + c[1] * n + c[2] * n * n for c in components.values()] for n in lengths])
z = np.log(table @ true_factors) + rng.normal(0, 0.01, len(lengths))
noise = 0.03
fun = lambda u: np.concatenate([(z - np.log(table @ np.exp(u))) / noise, u / np.array(spreads)])
found = optimize.least_squares(fun, np.zeros(3), xtol=1e-15, ftol=1e-15, gtol=1e-15)
covariance = np.linalg.inv(found.jac.T @ found.jac)
row = np.array([c[0] + c[1] * 8192 + c[2] * 8192**2 for c in components.values()])
total = float(row @ np.exp(found.x))
share = row * np.exp(found.x) / total
physical = {"components": components, "spreads": spreads, "lengths": lengths, "seconds": np.exp(z).tolist(), "noise": noise,
            "logFactors": found.x.tolist(), "at": 8192, "total": total, "sd": float(np.sqrt(share @ covariance @ share))}

# AICc of two laws on all samples, from the Gaussian likelihood of log seconds with its variance fitted.
aicc = []
for lengths_count, repeats, sigma in ((6, 3, 0.02), (8, 5, 0.05), (12, 7, 0.01)):
    n = np.repeat(128 * 2.0 ** (5 * np.arange(lengths_count) / (lengths_count - 1)), repeats)
    y = np.log(0.02 + 1e-4 * n + 5e-9 * n * n) + rng.normal(0, sigma, n.size)
    centres = np.array([y[n == one].mean() for one in n])
    within = float(np.sum((y - centres) ** 2))
    values = []
    for columns in (np.stack([np.ones_like(n), np.log(n)], 1), np.stack([np.ones_like(n), np.log(n), np.log(n) ** 2], 1)):
        residual = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
        rss = float(np.sum(residual**2))
        count = columns.shape[1] + 1
        logl = float(np.sum(stats.norm.logpdf(residual, 0, np.sqrt(rss / n.size))))
        values.append({"parameters": columns.shape[1], "misfit": rss - within,
                       "aicc": -2 * logl + 2 * count + 2 * count * (count + 1) / (n.size - count - 1)})
    aicc.append({"samples": int(n.size), "degrees": int(n.size - lengths_count), "within": within, "laws": values})

# Bootstraps of T(16384) under the quadratic law: SciPy's over whole blocks with the blocks that each resample took, and a
# parametric one of the centres, whose spread is that of a profile likelihood where no coefficient is at its bound.
own = np.random.default_rng(SEED + 1)
bootstrap = []
for one in quadratic:
    n = np.array([o[0] for o in one["observations"]], float)
    table = np.log(np.array([s for _, s in one["points"]]).reshape(n.size, -1))
    blocks = table.shape[1]
    scale = np.exp(table).max() / np.array([1, n.max(), n.max() ** 2])
    design = np.stack([np.ones_like(n), n, n * n], 1) * scale
    target = np.array([1, one["at"], one["at"] ** 2]) * scale

    def seconds_at(z):
        best = min((optimize.least_squares(lambda b: z - np.log(design @ b + 1e-300), start, bounds=(0, np.inf), xtol=1e-13, ftol=1e-13, gtol=1e-13)
                    for start in ([.3, .3, .3], [.01, .9, .1])), key=lambda r: r.cost)
        return float(target @ best.x)

    taken = []

    def statistic(indices):
        value = seconds_at(table[:, indices].mean(axis=1))
        taken.append([indices.tolist(), value])
        return value

    found = stats.bootstrap((np.arange(blocks),), statistic, n_resamples=200, vectorized=False, method="percentile", rng=own)
    resamples = [{"blocks": indices, "seconds": value} for indices, value in taken[-200:]]
    noise = one["sigma"] / np.sqrt(blocks)
    drawn = [seconds_at(table.mean(axis=1) + own.normal(0, noise, n.size)) for _ in range(400)]
    bootstrap.append({"resamples": resamples, "low": float(found.confidence_interval.low), "high": float(found.confidence_interval.high),
                      "parametricLogSd": float(np.std(np.log(drawn), ddof=1))})

values = own.lognormal(0, 1, 11)
medians = [{"values": values[:k].tolist(), "median": float(np.median(values[:k]))} for k in (1, 2, 5, 10, 11)]

json.dump({"script": "test/golden/fit.py", "seed": SEED, "python": sys.version.split()[0], "numpy": np.__version__,
           "scipy": scipy.__version__, "quantiles": quantiles, "leastSquares": least_squares, "quadratic": quadratic,
           "physical": physical, "aicc": aicc, "bootstrap": bootstrap, "medians": medians}, sys.stdout, indent=1)
