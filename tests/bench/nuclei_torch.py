"""The job of examples/nuclei.sh in PyTorch: the same net, images, split, schedule and number of steps.

    nuclei_torch.py split.jsonl [SEED]      in the folder that nuclei.sh worked in; prints foreground IoU
"""
import json
import math
import os
import random
import sys
import time

import numpy
import torch
from PIL import Image
from torch.nn import functional as F

from smp_torch import Net

SIDE, BATCH, EPOCHS, LR = 128, 8, 40, 1e-3


def load(record):
    image = Image.open(record['file_name']).convert('RGB')
    folder = record['mask_file_name']
    masks = [numpy.array(Image.open(os.path.join(folder, f)).convert('L')) > 0
             for f in sorted(os.listdir(folder))]
    return image, numpy.any(masks, 0)


def tensor(image):
    x = numpy.asarray(image.resize((SIDE, SIDE), Image.BILINEAR), numpy.float32) / 255
    x = (x - numpy.float32([0.485, 0.456, 0.406])) / numpy.float32([0.229, 0.224, 0.225])
    return torch.from_numpy(x.transpose(2, 0, 1).copy())


def dice(logits, y):
    p = torch.sigmoid(logits)
    return (1 - 2 * (p * y).sum() / (p.sum() + y.sum()).clamp_min(1e-7)) * float(y.sum() > 0)


def main():
    torch.set_num_threads(2)
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    torch.manual_seed(seed)
    random.seed(seed)
    records = [json.loads(line) for line in open(sys.argv[1])]
    train = [load(r) for r in records if r['split'] == 'train']
    xs = torch.stack([tensor(i) for i, _ in train])
    ys = torch.stack([torch.from_numpy(numpy.array(
        Image.fromarray(m).resize((SIDE, SIDE), Image.NEAREST), numpy.float32))[None] for _, m in train])
    net = Net('unet', 'resnet18').train().to(memory_format=torch.channels_last)
    opt = torch.optim.Adam(net.parameters(), LR)
    per = math.ceil(len(train) / BATCH)
    start = time.time()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(train))
        for b in range(per):
            pick = order[b * BATCH:(b + 1) * BATCH]
            x, y = xs[pick].clone(), ys[pick].clone()
            for i in range(len(pick)):
                for axis in (1, 2):
                    if random.random() < 0.5:
                        x[i], y[i] = x[i].flip(axis), y[i].flip(axis)
            for group in opt.param_groups:
                group['lr'] = LR * 0.5 * (1 + math.cos(math.pi * (epoch * per + b) / (EPOCHS * per)))
            opt.zero_grad()
            out = net(x.contiguous(memory_format=torch.channels_last))
            loss = F.binary_cross_entropy_with_logits(out, y) + dice(out, y)
            loss.backward()
            opt.step()
        if epoch % 10 == 9:
            print('epoch %d: loss %.4f, %.0f s' % (epoch, loss.item(), time.time() - start), file=sys.stderr)
    net.eval()
    both = either = 0
    each = []
    with torch.no_grad():
        for r in records:
            if r['split'] != 'test':
                continue
            image, mask = load(r)
            p = torch.sigmoid(net(tensor(image)[None]))
            p = F.interpolate(p, mask.shape, mode='bilinear')[0, 0].numpy() >= 0.5
            both += (p & mask).sum()
            either += (p | mask).sum()
            each.append((p & mask).sum() / (p | mask).sum())
    print('foreground IoU %.4f, mean of images %.4f' % (both / either, sum(each) / len(each)))


main()
