"""Screenshots of the pages: `python tests/viz/screenshots.py FOLDER`.

Each page at two widths, light and dark. The one in docs/ledger.md is two_layers-wide-light.
"""

import sys
import time
from pathlib import Path

from chromium import chromium, look, missing

import tinynet as tn
import tinynet.nn.functional as F
from tinynet import nn
from tinynet.models import get_model
from tinynet.viz.pages import tables, windows

# What to do before the picture is taken, and how high the picture is.
PAGES = {
    "two_layers": ("go(7)", 760),
    "resnet18": ("go(data.events.length - 30)", 760),
    "vgg16": ("go(data.events.length - 60)", 760),
    "conv2d": ("", 2000),
    "max_pool2d": ("", 1300),
    "batch_norm": ("", 1500),
    "cross_entropy": ("", 1100),
    "broadcasting": ("", 1100),
}
WIDTHS = {"wide": 1280, "phone": 390}


class Net(nn.Module):
    """Two layers, as in docs/ledger.md."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 3)
        self.out = nn.Linear(3, 1)

    def forward(self, x):
        h = self.hidden(x).tanh()
        return self.out(h)


def write_pages(folder):
    tn.manual_seed(0)
    net = Net()
    x = tn.tensor([[1.0, 2.0], [0.5, -1.0]])
    with tn.autograd.trace() as ledger:
        y = net(x)
        (y * y).mean().backward()
    ledger.save(folder / "two_layers.html")
    for name in ("resnet18", "vgg16"):
        model = get_model(name, num_classes=10, image_size=64)
        with tn.autograd.trace() as ledger:
            F.cross_entropy(model(tn.randn(1, 3, 64, 64)), tn.tensor([3])).backward()
        ledger.save(folder / f"{name}.html")
    windows.conv2d_page(folder / "conv2d.html", padding=1)
    windows.max_pool2d_page(folder / "max_pool2d.html", kernel=3, stride=2, padding=1)
    tables.batch_norm_page(folder / "batch_norm.html")
    tables.cross_entropy_page(folder / "cross_entropy.html")
    tables.broadcasting_page(folder / "broadcasting.html", x_shape=(3, 1), y_shape=(4,))


def main(folder):
    reason = missing()
    if reason is not None:
        sys.exit(f"No screenshots: {reason}.")
    folder.mkdir(parents=True, exist_ok=True)
    write_pages(folder)
    with chromium() as driver:
        for page, (script, height) in PAGES.items():
            for width_name, width in WIDTHS.items():
                for scheme in ("light", "dark"):
                    tall = height if width_name == "wide" else max(height, 1600)
                    look(driver, (folder / f"{page}.html").resolve(), width, tall, scheme)
                    driver.execute_script(script)
                    time.sleep(0.3)  # colours change smoothly
                    driver.save_screenshot(str(folder / f"{page}-{width_name}-{scheme}.png"))
                    print(folder / f"{page}-{width_name}-{scheme}.png")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
