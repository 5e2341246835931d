"""Stop a run that diverges, and watch a metric with a rule of your own.

python docs/examples/alerts.py
"""

import torch

from monitor import Logger, Rule

# A rule of your own: the lowest and the highest are of the finite values before this one.
jump = Rule("train/loss doubled", "train/loss", lambda value, lowest, _highest: value > 2 * lowest, count=3)

x = torch.linspace(-1, 1, 50)[:, None]
y = 3 * x
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=5.0)  # far too high

with Logger("runs/alerts", ["tensorboard"], alerts=[jump, "no progress for 10 minutes"], stop_on_alert=True) as log:
    for step in range(100_000):
        loss = torch.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.scalar("train/loss", loss, step)
        if log.should_stop:
            break

print(f"{log.run.status} at step {step}")  # run.json says why
