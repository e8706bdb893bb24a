"""features_torch.py inception|dino-vitb8 [BATCH [RUNS]]: the same networks in PyTorch on two threads,
with random weights. Inception's convolutions are read from lib/model/inception.c."""
import re
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Unit(nn.Module):
    def __init__(self, i, o, kh, kw, stride, pad):
        super().__init__()
        self.conv = nn.Conv2d(i, o, (kh, kw), stride, (kh // 2, kw // 2) if pad else 0, bias=False)
        self.bn = nn.BatchNorm2d(o, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    side = 299

    def __init__(self):
        super().__init__()
        rows = re.findall(r'\{ "\w+(?:\.\w+)?", (\d+), (\d+), (\d+), (\d+), (\d+), (true|false) \}',
                          open("lib/model/inception.c").read())
        self.unit = nn.ModuleList(Unit(*map(int, r[:5]), r[5] == "true") for r in rows)

    def chain(self, at, n, x):
        for i in range(n):
            x = self.unit[at + i](x)
        return x

    def pool(self, x, largest=False):
        return F.max_pool2d(x, 3, 1, 1) if largest else F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def forward(self, x):
        c, u = self.chain, self.unit
        x = F.max_pool2d(c(0, 3, x), 3, 2)
        x = F.max_pool2d(c(3, 2, x), 3, 2)
        for a in 5, 12, 19:
            x = torch.cat([u[a](x), c(a + 1, 2, x), c(a + 3, 3, x), u[a + 6](self.pool(x))], 1)
        x = torch.cat([u[26](x), c(27, 3, x), F.max_pool2d(x, 3, 2)], 1)
        for a in 30, 40, 50, 60:
            x = torch.cat([u[a](x), c(a + 1, 3, x), c(a + 4, 5, x), u[a + 9](self.pool(x))], 1)
        x = torch.cat([c(70, 2, x), c(72, 4, x), F.max_pool2d(x, 3, 2)], 1)
        for a in 76, 85:
            t, w = u[a + 1](x), c(a + 4, 2, x)
            x = torch.cat([u[a](x), u[a + 2](t), u[a + 3](t), u[a + 6](w), u[a + 7](w),
                           u[a + 8](self.pool(x, a == 85))], 1)
        return x.mean((2, 3))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        n, t, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-2, -1) * (w // self.heads) ** -0.5).softmax(-1)
        x = x + self.out((a @ v).transpose(1, 2).reshape(n, t, w))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    side = 224

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 768, 8, 8)
        self.blocks = nn.Sequential(*(Block(768, 12) for _ in range(12)))
        self.norm = nn.LayerNorm(768, eps=1e-6)

    def forward(self, x):
        t = self.patch(x).flatten(2).transpose(1, 2)
        return self.norm(self.blocks(torch.cat([t[:, :1], t], 1)))[:, 0]


torch.set_num_threads(2)
net = (Inception if sys.argv[1] == "inception" else ViT)().eval()
batch = int(sys.argv[2]) if len(sys.argv) > 2 else 8
runs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
x = torch.rand(batch, 3, net.side, net.side)
with torch.no_grad():
    net(x)
    start = time.time()
    for _ in range(runs):
        net(x)
print("PyTorch, two threads: %.3f s" % ((time.time() - start) / runs))
