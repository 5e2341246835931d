"""Train a small classifier, and log to TensorBoard.

python docs/examples/quickstart.py
monitor serve tensorboard
"""

import torch
from torch import nn

from monitor import Logger

torch.manual_seed(0)
x = torch.rand(600, 1, 8, 8)  # N×C×H×W
y = (x[:, 0, :4].mean((1, 2)) > x[:, 0, 4:].mean((1, 2))).long()  # class 1: the upper half is brighter
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

with Logger("runs/quickstart", sinks=["tensorboard"], config={"lr": 0.01, "optimizer": "adam"}) as log:
    log.images("samples", x[:16], step=0)
    for step in range(100):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.scalar("train/loss", loss, step)  # no .item(): on a GPU, this call does not wait
    predicted = model(x).argmax(1)
    accuracy = (predicted == y).float().mean()
    log.scalar("train/accuracy", accuracy, step)
    log.predictions("predictions", x[:16], predicted[:16], y[:16], step)
    log.histogram("weights/1", model[1].weight, step)

print(log.stats())  # per sink: records logged and delivered; and what logging cost
