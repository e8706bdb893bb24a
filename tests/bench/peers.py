"""Matrix products and convolutions beside OpenBLAS and PyTorch (oneDNN), on two threads.

peers.py PROGRAM [WORD ...]: PROGRAM is build/release/bench/products; with words, only the cases whose
line holds one of them. Runs are interleaved (ours, theirs, ours, ...), each after a pause in which
threads that spin come to rest. Two ratios of medians: of the time that passed, and of the processor
time that the threads took together, which other work on the machine disturbs less.
"""
import ctypes, os, statistics, subprocess, sys, time

os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")  # 0.3.21 takes newer processors for Haswell
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
THREADS = int(os.environ.get("THREADS", "2"))
RUNS = int(os.environ.get("RUNS", "7"))

# what is asked: the share of the peer's speed
MATMUL = [(1024, 1024, 1024, .30), (4096, 320, 320, .30), (256, 1280, 1280, .30), (512, 512, 512, None),
          (2048, 2048, 2048, None), (77, 3072, 768, None), (64, 1280, 1280, None), (4, 1000, 512, None)]
# n, h, w, in, out, k, stride, groups
CONV = [((1, 64, 64, 320, 320, 3, 1, 1), .30), ((1, 8, 8, 1280, 1280, 3, 1, 1), .30),
        ((1, 256, 256, 64, 64, 3, 1, 1), .30),
        ((4, 256, 256, 3, 64, 7, 2, 1), None), ((4, 64, 64, 64, 64, 3, 1, 1), None),
        ((4, 64, 64, 64, 128, 3, 2, 1), None), ((4, 32, 32, 128, 128, 3, 1, 1), None),
        ((4, 16, 16, 256, 256, 3, 1, 1), None), ((4, 8, 8, 512, 512, 3, 1, 1), None),
        ((4, 64, 64, 64, 128, 1, 2, 1), None), ((4, 16, 16, 768, 256, 3, 1, 1), None),
        ((4, 32, 32, 384, 128, 3, 1, 1), None), ((4, 64, 64, 192, 64, 3, 1, 1), None),
        ((4, 128, 128, 128, 32, 3, 1, 1), None), ((4, 128, 128, 32, 32, 3, 1, 1), None),
        ((4, 256, 256, 32, 16, 3, 1, 1), None), ((4, 256, 256, 16, 16, 3, 1, 1), None),
        ((4, 256, 256, 16, 1, 3, 1, 1), None), ((4, 64, 64, 24, 144, 1, 1, 1), None),
        ((4, 64, 64, 144, 24, 1, 1, 1), None), ((4, 16, 16, 112, 672, 1, 1, 1), None),
        ((4, 64, 64, 144, 144, 3, 1, 144), None), ((4, 32, 32, 240, 240, 5, 2, 240), None),
        ((1, 64, 64, 640, 640, 1, 1, 1), None), ((2, 16, 16, 1280, 1280, 3, 1, 1), None)]


class Ours:
    def __init__(self, program):
        self.p = subprocess.Popen([program, "-d", "cpu"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)

    def __call__(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        wall, cpu = self.p.stdout.readline().split()
        return float(wall), float(cpu)


def timed(f):
    t, c = time.perf_counter(), time.process_time()
    f()
    return time.perf_counter() - t, time.process_time() - c


def compare(name, flops, asked, ours, line, peers):
    """peers: {name: function}; the fastest of them is what ours is measured by."""
    mine, theirs = [], {k: [] for k in peers}
    ours(line)
    for f in peers.values():
        f()
    for _ in range(RUNS):
        time.sleep(.03)
        mine.append(ours(line))
        for k, f in peers.items():
            time.sleep(.03)
            theirs[k].append(timed(f))
    med = lambda v, i: statistics.median(x[i] for x in v)
    best = min(theirs, key=lambda k: med(theirs[k], 1))
    wall = med(theirs[best], 0) / med(mine, 0)
    cpu = med(theirs[best], 1) / med(mine, 1)
    print(f"{name:44s} {flops / med(mine, 0) * 1e-9:7.1f} {flops / med(theirs[best], 0) * 1e-9:7.1f} GFLOP/s "
          f"{best:9s} {wall:5.2f} of it, {cpu:5.2f} by cpu" + (f", asked {asked:.2f}" if asked else ""),
          flush=True)
    return wall, cpu


def openblas():
    lib = ctypes.CDLL("libopenblas.so.0")
    lib.openblas_set_num_threads(THREADS)
    lib.cblas_sgemm.argtypes = [ctypes.c_int] * 6 + [ctypes.c_float, ctypes.c_void_p, ctypes.c_int,
                                ctypes.c_void_p, ctypes.c_int, ctypes.c_float, ctypes.c_void_p, ctypes.c_int]
    return lib


def main():
    ours, words = Ours(sys.argv[1]), sys.argv[2:]
    import torch
    torch.set_num_threads(THREADS)
    blas = openblas()
    print(f"{THREADS} threads, medians of {RUNS}; torch {torch.__version__}, "
          f"OPENBLAS_CORETYPE={os.environ['OPENBLAS_CORETYPE']}")
    for m, n, k, asked in MATMUL:
        a, b, c = torch.rand(m, k), torch.rand(n, k), torch.empty(m, n)
        sgemm = lambda: blas.cblas_sgemm(101, 111, 112, m, n, k, 1, a.data_ptr(), k, b.data_ptr(), k, 0,
                                         c.data_ptr(), n)
        for dtype in "f32", "f16":
            line = f"matmul {m} {n} {k} {dtype}"
            if not words or any(w in line for w in words):
                compare(line, 2 * m * n * k, asked, ours, line, {"openblas": sgemm})
    for (n, h, w, i, o, k, s, g), asked in CONV:
        x = torch.randn(n, i, h, w)
        cl = torch.channels_last
        c = torch.nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False)
        forms = {"oneDNN": (x, c), "oneDNN-cl": (x.contiguous(memory_format=cl),
                 torch.nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False).to(memory_format=cl))}
        flops = 2 * n * (h // s) * (w // s) * o * (i // g) * k * k
        for kind in "conv", "convdx", "convdw":
            for dtype in ("f32", "f16") if kind == "conv" else ("f32",):
                line = f"{kind} {n} {h} {w} {i} {o} {k} {s} {g} {dtype}"
                if words and not any(v in line for v in words):
                    continue
                peers = {}
                for name, (px, pc) in forms.items():
                    px, pw = px.detach(), pc.weight.detach()
                    if kind == "conv":
                        def f(px=px, pc=pc):
                            with torch.no_grad():
                                pc(px)
                    else:
                        gy = torch.randn_like(pc(px).detach()).contiguous(
                            memory_format=cl if name.endswith("cl") else torch.contiguous_format)
                        mask = [kind == "convdx", kind == "convdw", False]

                        def f(px=px, pw=pw, gy=gy, mask=mask):
                            torch.ops.aten.convolution_backward(gy, px, pw, None, [s, s], [k // 2] * 2,
                                                                [1, 1], False, [0, 0], g, mask)
                    peers[name] = f
                compare(line, flops, asked if kind == "conv" else None, ours, line, peers)


main()
