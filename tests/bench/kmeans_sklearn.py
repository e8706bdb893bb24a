"""kmeans_sklearn.py BENCH [ROWS]: k-means of ROWS (220000) x 768 with k = 33 from the same means, in turn with
scikit-learn's (Debian: python3-sklearn)."""
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.cluster import KMeans

warnings.filterwarnings("ignore")
rows = int(sys.argv[2]) if len(sys.argv) > 2 else 220000
rng = np.random.default_rng(0)
middle = (rng.standard_normal((60, 768)) * 0.5).astype("f4")
x = middle[rng.integers(0, 60, rows)]
for i in range(0, rows, 10000):
    x[i:i + 10000] += rng.standard_normal(x[i:i + 10000].shape, "f4")
with tempfile.TemporaryDirectory() as tmp:
    files = [os.path.join(tmp, name) for name in ("x.npy", "first.npy")]
    np.save(files[0], x)
    np.save(files[1], x[:33])
    for _ in range(3):
        print("phantom:", subprocess.run([sys.argv[1], *files], capture_output=True, text=True).stdout, end="")
        start = time.time()
        m = KMeans(33, init=x[:33], n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(x)
        print("scikit-learn: %.2f s, %d iterations, inertia %.9g" % (time.time() - start, m.n_iter_, m.inertia_))
