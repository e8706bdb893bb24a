"""U-Net++ and U-Net with a ResNet-18/34 encoder in plain PyTorch, as segmentation_models_pytorch
0.3.3 builds them and under its names: the peer that benchmarks and examples compare with.

    smp_torch.py check DIR       logits against a golden set (segmentation/ folder)
    smp_torch.py step [N [S]]    seconds of a training step: batch N (4), side S (256)
"""
import json
import statistics
import struct
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F


class Basic(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        else:
            self.downsample = None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + (self.downsample(x) if self.downsample else x), inplace=True)


class Encoder(nn.Module):
    def __init__(self, blocks, widths=(64, 64, 128, 256, 512)):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        i = widths[0]
        for n, (count, o) in enumerate(zip(blocks, widths[1:])):
            layer = [Basic(i, o, 1 if n == 0 else 2)] + [Basic(o, o, 1) for _ in range(count - 1)]
            setattr(self, 'layer%d' % (n + 1), nn.Sequential(*layer))
            i = o

    def forward(self, x):
        f1 = F.relu(self.bn1(self.conv1(x)), inplace=True)
        f2 = self.layer1(F.max_pool2d(f1, 3, 2, 1))
        f3 = self.layer2(f2)
        f4 = self.layer3(f3)
        return [f1, f2, f3, f4, self.layer4(f4)]


def conv_bn(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True))


class Block(nn.Module):
    def __init__(self, i, skip, o):
        super().__init__()
        self.conv1 = conv_bn(i + skip, o)
        self.conv2 = conv_bn(o, o)

    def forward(self, x, skip=None):
        x = F.interpolate(x, scale_factor=2, mode='nearest')
        return self.conv2(self.conv1(x if skip is None else torch.cat([x, skip], 1)))


class PlusPlus(nn.Module):
    def __init__(self, enc, dec):
        super().__init__()
        enc = list(enc)[::-1]
        ins, skips = [enc[0]] + list(dec[:-1]), enc[1:] + [0]
        blocks = {}
        for layer in range(len(ins) - 1):
            for depth in range(layer + 1):
                if depth == 0:
                    i, o, skip = ins[layer], dec[layer], skips[layer] * (layer + 1)
                else:
                    i, o, skip = skips[layer - 1], skips[layer], skips[layer] * (layer + 1 - depth)
                blocks['x_%d_%d' % (depth, layer)] = Block(i, skip, o)
        self.depth = len(ins) - 1
        blocks['x_0_%d' % self.depth] = Block(ins[-1], 0, dec[-1])
        self.blocks = nn.ModuleDict(blocks)

    def forward(self, f):
        f = f[::-1]
        x = {}
        for layer in range(self.depth):
            for depth in range(self.depth - layer):
                to = depth + layer
                if layer == 0:
                    x[depth, depth] = self.blocks['x_%d_%d' % (depth, depth)](f[depth], f[depth + 1])
                else:
                    cat = torch.cat([x[i, to] for i in range(depth + 1, to + 1)] + [f[to + 1]], 1)
                    x[depth, to] = self.blocks['x_%d_%d' % (depth, to)](x[depth, to - 1], cat)
        return self.blocks['x_0_%d' % self.depth](x[0, self.depth - 1])


class Plain(nn.Module):
    def __init__(self, enc, dec):
        super().__init__()
        enc = list(enc)[::-1]
        ins, skips = [enc[0]] + list(dec[:-1]), enc[1:] + [0]
        self.blocks = nn.ModuleList(Block(i, s, o) for i, s, o in zip(ins, skips, dec))

    def forward(self, f):
        f = f[::-1]
        x = f[0]
        for n, block in enumerate(self.blocks):
            x = block(x, f[n + 1] if n + 1 < len(f) else None)
        return x


class Net(nn.Module):
    """arch 'unet' or 'unetpp', encoder 'resnet18' or 'resnet34'."""

    def __init__(self, arch='unetpp', encoder='resnet34', classes=1, dec=(256, 128, 64, 32, 16),
                 widths=(64, 64, 128, 256, 512)):
        super().__init__()
        self.encoder = Encoder({'resnet18': (2, 2, 2, 2), 'resnet34': (3, 4, 6, 3)}[encoder], widths)
        self.decoder = (PlusPlus if arch == 'unetpp' else Plain)(widths, dec)
        self.segmentation_head = nn.Sequential(nn.Conv2d(dec[-1], classes, 3, padding=1))
        for name, m in self.named_modules():
            if not isinstance(m, nn.Conv2d):
                continue
            if name.startswith('encoder'):
                nn.init.kaiming_normal_(m.weight, mode='fan_out', nonlinearity='relu')
            elif name.startswith('decoder'):
                nn.init.kaiming_uniform_(m.weight, mode='fan_in', nonlinearity='relu')
            else:
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.segmentation_head(self.decoder(self.encoder(x)))


def safetensors(path):
    kinds = {'F32': '<f4', 'F64': '<f8', 'I64': '<i8', 'U8': 'u1'}
    with open(path, 'rb') as fp:
        data = fp.read()
    n = struct.unpack('<Q', data[:8])[0]
    out = {}
    for name, t in json.loads(data[8:8 + n]).items():
        if name != '__metadata__':
            a, b = t['data_offsets']
            v = numpy.frombuffer(data[8 + n + a:8 + n + b], kinds[t['dtype']]).reshape(t['shape'])
            out[name] = torch.from_numpy(v.copy())
    return out


def recipe(t):
    """The golden sets' weights by formula (golden/README.md)."""
    mask = (1 << 64) - 1
    h = 14695981039346656037
    for c in t['name'].encode():
        h = (h ^ c) * 1099511628211 & mask
    s = h ^ (t['seed'] * 0xD1342543DE82EF95 & mask)
    n = int(numpy.prod(t['shape']))
    with numpy.errstate(over='ignore'):
        z = numpy.uint64(s) + numpy.arange(1, n + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> numpy.uint64(30)) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> numpy.uint64(27)) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ z >> numpy.uint64(31)
    v = ((z >> numpy.uint64(40)).astype(numpy.float64) * 2 * 2.0 ** -24 - 1).astype(numpy.float32)
    v = v * numpy.float32(t['a']) + numpy.float32(t['b'])
    return torch.from_numpy(v.astype(numpy.float32).reshape(t['shape']))


def check(folder):
    for case, arch in (('unetplusplus_resnet34', 'unetpp'), ('unet_resnet34', 'unet')):
        base = folder + '/full_by_recipe/' + case
        net = Net(arch).eval()
        weights = {t['name']: recipe(t) for t in json.load(open(base + '_manifest.json'))
                   if t.get('kind', 'recipe') == 'recipe' and t['dtype'] == 'F32'}
        missing = net.load_state_dict(weights, strict=False)
        set_ = safetensors(base + '.safetensors')
        with torch.no_grad():
            e = (net(set_['input']) - set_['eval_out']).abs().max().item()
        print('%s: logits differ by at most %.2g; not loaded: %s' % (case, e, [
            m for m in missing.missing_keys if 'running' not in m and 'num_batches' not in m]))


def step_seconds(batch=4, side=256, runs=5, arch='unetpp', encoder='resnet34'):
    """Median seconds of forward, loss, backward and Adam; channels last, two threads."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    net = Net(arch, encoder).train().to(memory_format=torch.channels_last)
    opt = torch.optim.Adam(net.parameters(), 1e-3)
    x = torch.randn(batch, 3, side, side).to(memory_format=torch.channels_last)
    y = (torch.rand(batch, 1, side, side) > 0.5).float()
    times = []
    for run in range(runs + 1):
        start = time.perf_counter()
        opt.zero_grad()
        F.binary_cross_entropy_with_logits(net(x), y).backward()
        opt.step()
        if run:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == '__main__':
    if sys.argv[1:2] == ['check'] and len(sys.argv) == 3:
        check(sys.argv[2])
    elif sys.argv[1:2] == ['step']:
        print('%.3f' % step_seconds(*map(int, sys.argv[2:])))
    else:
        sys.exit(__doc__)
