"""3. Which layers of two networks are alike?"""

import torch
from sklearn.datasets import load_digits
from torchvision.models import resnet18

from dlcore.similarity import matrix
from dlcore.stitching import stage_names

images = torch.tensor(load_digits().images[:256, None], dtype=torch.float32).expand(-1, 3, -1, -1) / 16
networks = []
for seed in (0, 1):
    torch.manual_seed(seed)
    networks.append(resnet18(weights=None))  # yours: trained ones, also timm's
layers = stage_names(networks[0], images[:2], depth=2)[4:-1]
found = matrix(*networks, images, layers, batch_size=64, permutations=19)
print(found)
chart = found.plot()
