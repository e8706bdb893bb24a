"""linalg_numpy.py BENCH [N]: eigenproblems and Frechet distances of N x N covariances (2048) by the program
BENCH (tests/bench/linalg.c) and by NumPy's LAPACK, in turn."""
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

bench, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2048
rng = np.random.default_rng(0)


def covariance():
    x = rng.standard_normal((2 * n, n)) * np.exp(-3 * rng.random(n))
    return x.mean(0), np.cov(x, rowvar=False)


def theirs(m1, s1, m2, s2):
    w, v = np.linalg.eigh(s1)
    root = (v * np.sqrt(np.maximum(w, 0))) @ v.T
    t = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ s2 @ root), 0)).sum()
    return ((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * t


with tempfile.TemporaryDirectory() as d:
    (m1, s1), (m2, s2) = covariance(), covariance()
    files = [os.path.join(d, f + ".npy") for f in ("m1", "s1", "m2", "s2")]
    for f, x in zip(files, (m1, s1, m2, s2)):
        np.save(f, x)
    runs = {"eigen": [], "frechet": []}
    for _ in range(5):
        for what, args, f in (("eigen", files[1:2], lambda: np.linalg.eigh(s1)[0][-1]),
                              ("frechet", files, lambda: theirs(m1, s1, m2, s2))):
            ours, value = map(float, subprocess.check_output([bench, what] + args).split())
            t = time.monotonic()
            want = f()
            t = time.monotonic() - t
            runs[what].append((ours / t, ours, t, abs(value / want - 1)))
            print(f"{what} {n}: ours {ours:.2f} s, NumPy {t:.2f} s, difference {abs(value / want - 1):.1e}")
    for what, r in runs.items():
        r.sort()
        print(f"{what} {n}: median ratio {r[len(r) // 2][0]:.2f}")
