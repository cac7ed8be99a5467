"""Golden values for src/fit/joint.ts from SciPy: the law of prefills over new and cached tokens.

Run: python3 test/golden/joint.py > test/golden/joint.json   (needs numpy and scipy; the versions are in the output)
"""
import json
import sys

import numpy as np
import scipy
from scipy import optimize, stats

SEED = 20261126
NOISE = 0.03
LEVEL = 0.9
rng = np.random.default_rng(SEED)


def rows(n, c):
    return np.stack([np.ones_like(n), n, n * n + 2 * n * c, c], axis=-1)


problems = []
for truth in ([0.02, 4e-5, 4e-9, 0.0], [0.005, 2e-4, 2e-8, 1e-6], [0.0, 1e-4, 0.0, 3e-6]):
    n, c = (axis.ravel().astype(float) for axis in np.meshgrid([128, 512, 2048, 8192], [0, 4096, 32768]))
    matrix = rows(n, c)
    seconds = matrix @ np.array(truth) * np.exp(NOISE * rng.normal(size=n.size))
    scale = np.array([1e-2, 1e-5, 1e-9, 1e-6])

    def residuals(scaled):
        return (np.log(matrix @ (scaled * scale)) - np.log(seconds)) / NOISE

    start = np.array([1.0, 5.0, 1.0, 1.0])
    best = optimize.least_squares(residuals, start, bounds=(0, np.inf), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    least = 2 * best.cost
    slack = stats.norm.ppf((1 + LEVEL) / 2) ** 2

    def profile(index, direction):
        """Furthest value of a coefficient at which the others can still keep the misfit within the slack."""
        def misfit(value):
            others = [i for i in range(4) if i != index]

            def rest(some):
                full = np.empty(4)
                full[index] = value
                full[others] = some
                return residuals(full)

            found = optimize.least_squares(rest, best.x[others] + 1e-6, bounds=(0, np.inf), xtol=1e-14, ftol=1e-14)
            return 2 * found.cost - least - slack

        at = best.x[index]
        if direction < 0:
            return 0.0 if at <= 0 or misfit(1e-12) <= 0 else optimize.brentq(misfit, 1e-12, at)
        far = max(at, 1e-3)
        while misfit(far) <= 0:
            far *= 1.5
        return optimize.brentq(misfit, at, far)

    problems.append({
        "points": [{"n": int(a), "cached": int(b), "seconds": float(t)} for a, b, t in zip(n, c, seconds)],
        "coefficients": [
            {"value": float(best.x[i] * scale[i]), "low": float(profile(i, -1) * scale[i]), "high": float(profile(i, 1) * scale[i])}
            for i in range(4)
        ],
    })

json.dump({
    "made": {"python": sys.version.split()[0], "numpy": np.__version__, "scipy": scipy.__version__, "seed": SEED},
    "noise": NOISE, "level": LEVEL, "problems": problems,
}, sys.stdout, indent=1)
print()
