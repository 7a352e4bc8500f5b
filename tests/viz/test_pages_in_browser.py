"""The pages in a real browser: they show the tensors' numbers, alone, to everybody."""

import json
import os

import numpy as np
import pytest
from chromium import chromium, look, missing

import tinynet as tn
import tinynet.nn.functional as F
from tinynet import nn
from tinynet.models import get_model
from tinynet.viz.pages import tables, windows

pytestmark = pytest.mark.slow
PAGES = [
    "two_layers",
    "vgg16",
    "tape_only",
    "twice",
    "no_grad",
    "empty",
    "conv2d",
    "max_pool2d",
    "batch_norm",
    "cross_entropy",
    "broadcasting",
]
WINDOWS = {
    "wide": (1280, 800, "light"),
    "wide, dark": (1280, 800, "dark"),
    "phone": (360, 740, "light"),
    "phone, dark": (360, 740, "dark"),
}


@pytest.fixture(scope="module")
def driver():
    reason = missing()
    if reason is not None:
        # where the tests must be complete, a missing browser is a failure
        assert "TINYNET_BROWSER_REQUIRED" not in os.environ, reason
        pytest.skip(f"{reason} (Debian: apt-get install chromium chromium-driver)")
    with chromium() as driver:
        yield driver


def two_layers():
    tn.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = tn.tensor([[1.0, 2.0], [0.5, -1.0]])
    return net, x


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """name -> (page, what it is about)."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {name: folder / f"{name}.html" for name in PAGES}
    net, x = two_layers()
    with tn.autograd.trace() as ledger:
        y = net(x)
        (y * y).mean().backward()
    ledger.save(pages["two_layers"])
    tape_only = (net(x) * 2).sum().backward(trace=True)
    tape_only.save(pages["tape_only"])
    with tn.autograd.trace() as twice:
        w = tn.tensor([1.0, 2.0], requires_grad=True)
        (g,) = tn.autograd.grad((w**3).sum(), w, create_graph=True)
        g.sum().backward()
    twice.save(pages["twice"])
    with tn.autograd.trace() as no_grad, tn.no_grad():
        net(x)
    no_grad.save(pages["no_grad"])
    with tn.autograd.trace() as empty:
        pass
    empty.save(pages["empty"])
    vgg = get_model("vgg16", num_classes=10, image_size=32)
    with tn.autograd.trace() as deep:
        F.cross_entropy(vgg(tn.randn(1, 3, 32, 32)), tn.tensor([3])).backward()
    deep.save(pages["vgg16"])
    windows.conv2d_page(pages["conv2d"], size=9, kernel=3, stride=2, padding=1, dilation=2)
    windows.max_pool2d_page(pages["max_pool2d"], size=9, kernel=3, stride=2, padding=1)
    tables.batch_norm_page(pages["batch_norm"])
    tables.cross_entropy_page(pages["cross_entropy"])
    tables.broadcasting_page(pages["broadcasting"], x_shape=(3, 1), y_shape=(4,))
    about = {"two_layers": ledger, "twice": twice, "vgg16": deep}
    return {name: (path, about.get(name)) for name, path in pages.items()}


@pytest.fixture
def see(driver, made):
    """Open a page; at the end nothing must have gone wrong in it."""

    def open_page(name, window="wide"):
        driver.get_log("performance")
        look(driver, made[name][0], *WINDOWS[window])
        return driver

    yield open_page
    assert driver.get_log("browser") == []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            assert message["params"]["request"]["url"].startswith(("file://", "data:"))


def press(driver, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(driver).send_keys(key).perform()


def shown(driver, selector="#detail"):
    """The numbers in the tables, by their captions."""
    script = """
        const found = [];
        for (const figure of document.querySelectorAll(arguments[0] + " figure.numbers")) {
          const cells = [...figure.querySelectorAll("td")].map((cell) => cell.title);
          if (cells.length) found.push([figure.querySelector("figcaption").textContent, cells]);
        }
        return found;"""
    return [
        (caption, [float(v) for v in cells])
        for caption, cells in driver.execute_script(script, selector)
    ]


def now(driver):
    return driver.find_element("id", "now").text


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", PAGES)
def test_it_fits_and_can_be_read(see, name, window):
    driver = see(name, window)
    width, room = driver.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert width <= room
    # WCAG's contrast of every visible text with what is behind it, from the colours as computed
    poor = driver.execute_script("""
        const parse = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
          .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
          .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const over = ([r, g, b, a = 1], below) =>
          [r, g, b].map((v, i) => v * a + below[i] * (1 - a));
        const behind = (element) => {
          if (!element) return [255, 255, 255];
          const colour = parse(getComputedStyle(element).backgroundColor);
          const clear = colour.length > 3 && colour[3] < 1;
          return clear ? over(colour, behind(element.parentElement)) : colour;
        };
        const poor = [];
        for (const element of document.querySelectorAll("body *:not(script):not(option)")) {
          const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
          if (!own || !element.getClientRects().length || element.closest(".hidden, svg")) continue;
          const ground = behind(element);
          const colour = over(parse(getComputedStyle(element).color), ground);
          const [a, b] = [light(colour), light(ground)];
          const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          if (contrast < 4.5) poor.push([element.outerHTML.slice(0, 80), contrast]);
        }
        return poor;""")
    assert poor == []
    ground = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == window.endswith("dark")


def test_the_numbers_are_the_tensors(see, made):
    """Step through everything with the keyboard; compare each number with the ledger's."""
    from selenium.webdriver.common.keys import Keys

    driver = see("two_layers")
    ledger = made["two_layers"][1]
    compared = 0
    for i, event in enumerate(ledger.events):
        assert f"Step {i + 1} of {len(ledger.events)}" in now(driver)
        tables = shown(driver)
        if hasattr(event, "operation"):
            expected = [event.outputs[0], *(g.numbers for g in event.inputs)]
            values = [t for t in tables if not t[0].startswith(("gradient", "d"))]
        elif hasattr(event.at, "operation"):
            expected = [event.arrived[0], *(c.numbers for c in event.outgoing)]
            values = [t for t in tables if t[0].startswith(("gradient", "d"))]
        else:
            expected = [event.at.numbers, event.arrived[0]]
            values = tables
        assert len(values) == len(expected)
        for (_, cells), numbers in zip(values, expected, strict=True):
            np.testing.assert_array_equal(np.array(cells, np.float32), numbers.values.ravel())
            compared += 1
        press(driver, Keys.ARROW_RIGHT)
    assert compared > 30


def test_the_slider_replays_the_pass(see):
    from selenium.webdriver.common.keys import Keys

    driver = see("two_layers")
    slider = driver.find_element("id", "slider")
    last = int(slider.get_attribute("max"))
    assert "forward" in now(driver)
    assert not driver.find_elements("css selector", ".node.backward-done")
    driver.execute_script("arguments[0].focus()", slider)
    press(driver, Keys.END)
    assert f"Step {last} of {last}, backward" in now(driver)
    assert driver.find_elements("css selector", ".node.backward-done")
    assert not driver.find_elements("css selector", ".node.ahead")
    press(driver, Keys.HOME)
    assert "Step 1 of" in now(driver)
    driver.find_element("id", "next").click()
    assert "Step 2 of" in now(driver)
    assert slider.get_attribute("aria-valuetext").startswith("Step 2 of")


def test_boxes_by_keyboard(see):
    from selenium.webdriver.common.keys import Keys

    driver = see("two_layers")
    box = driver.find_element("css selector", '.node[aria-label^="tanh"]')
    driver.execute_script("arguments[0].focus()", box)
    press(driver, Keys.ENTER)
    assert driver.find_element("css selector", "#detail h2").text == "tanh"
    close = driver.find_element("css selector", ".cluster .close")
    before = len(driver.find_elements("css selector", ".node"))
    driver.execute_script("arguments[0].focus()", close)
    press(driver, Keys.ENTER)
    assert len(driver.find_elements("css selector", ".node")) < before
    focused = driver.switch_to.active_element
    assert focused.get_attribute("aria-label").startswith("Open net")
    press(driver, Keys.SPACE)
    assert len(driver.find_elements("css selector", ".node")) == before


@pytest.mark.parametrize("name", PAGES)
def test_tab_reaches_everything_and_shows_where_it_is(see, name):
    from selenium.webdriver.common.keys import Keys

    driver = see(name)
    wanted = driver.execute_script(
        'return document.querySelectorAll("button, input, select, canvas[tabindex]").length'
    )
    reached = set()
    for _ in range(120):
        press(driver, Keys.TAB)
        element = driver.switch_to.active_element
        if element.tag_name == "body":
            break
        seen = driver.execute_script(
            """const e = document.activeElement;
            const box = e.querySelector("rect.box") ?? e.querySelector("rect") ?? e;
            const style = getComputedStyle(e);
            return [style.outlineStyle !== "none", getComputedStyle(box).strokeWidth === "3px"]""",
        )
        assert any(seen), element.get_attribute("outerHTML")[:200]
        if element.tag_name in ("button", "input", "select", "canvas"):
            reached.add(element.id)
    assert len(reached) >= min(wanted, 20)


def test_a_pass_that_is_itself_recorded(see, made):
    from selenium.webdriver.common.keys import Keys

    driver = see("twice")
    ledger = made["twice"][1]
    assert "2 backward passes" in driver.find_element("id", "totals").text
    press(driver, Keys.END)
    assert now(driver).endswith("w.grad becomes .grad.")
    assert shown(driver)[-1][1] == ledger.leaves[0].visits[-1].arrived[0].values.tolist()
    steps = driver.find_elements("css selector", ".node.step")
    assert len(steps) == len(ledger)  # those of the first backward pass too


def test_search_opens_what_it_finds(see):
    from selenium.webdriver.common.keys import Keys

    driver = see("vgg16")
    press(driver, "/", *"features.28", Keys.ENTER)
    assert (
        "1 found" in driver.find_element("id", "hits").text
        or "found" in driver.find_element("id", "hits").text
    )
    badge = driver.find_element("css selector", "#detail .badge").text
    assert badge.startswith("features.28")
    assert driver.find_elements("css selector", ".node.hit")


def test_vgg16_begins_collapsed_and_stays_light(see, made):
    driver = see("vgg16")
    path, ledger = made["vgg16"]
    assert path.stat().st_size < 1_000_000
    boxes = len(driver.find_elements("css selector", ".node"))
    assert boxes <= 30
    assert driver.find_elements("css selector", '.node[aria-label^="Open features"]')
    loaded = driver.execute_script(
        "const t = performance.getEntriesByType('navigation')[0]; return t.domContentLoadedEventEnd"
    )
    assert loaded > 0
    driver.find_element("id", "expand").click()
    opened = driver.find_elements("css selector", ".node.step")
    assert len(opened) == len(ledger)
    driver.find_element("id", "collapse").click()
    assert len(driver.find_elements("css selector", ".node")) < 6


def test_what_the_tape_does_not_know_is_said(see):
    driver = see("tape_only")
    assert "ran before the trace began" in driver.find_element("id", "missing").text
    assert "does not know its value" in driver.find_element("id", "detail").text


def total(driver, host):
    text = driver.find_element("css selector", f"#{host} .total")
    return float(text.get_attribute("title"))


def products(driver, host):
    """The written sum, added up."""
    text = driver.find_element("id", host).text.replace("\u2212", "-")
    terms = text.split(" = ")[1].split(" + ")
    return sum(float(a) * float(b) for a, b in (term.split("\u00b7") for term in terms))


def test_conv2d_forward(see, driver):
    from selenium.webdriver.common.keys import Keys

    see("conv2d")
    w = windows.filters(2, 3)[1]
    x = windows.image(9)
    y = F.conv2d(tn.tensor(x[None, None]), tn.tensor(w), stride=2, padding=1, dilation=2).numpy()
    P, Q = y.shape[-2:]
    slider = driver.find_element("id", "slider")
    assert int(slider.get_attribute("max")) == P * Q - 1
    driver.execute_script("arguments[0].focus()", slider)
    press(driver, Keys.HOME)
    for at in range(P * Q):
        assert total(driver, "sum") == pytest.approx(float(y[0, 0].ravel()[at]), abs=1e-7)
        assert products(driver, "sum") == pytest.approx(total(driver, "sum"), abs=2e-3)
        press(driver, Keys.ARROW_RIGHT)
    driver.execute_script(
        "const s = arguments[0]; s.value = 1; s.dispatchEvent(new Event('change'))",
        driver.find_element("id", "filter"),
    )
    assert total(driver, "sum") == pytest.approx(float(y[0, 1, -1, -1]), abs=1e-7)


def test_conv2d_backward(see, driver):
    from selenium.webdriver.common.keys import Keys

    see("conv2d")
    x = tn.tensor(windows.image(9)[None, None], requires_grad=True)
    w = tn.tensor(windows.filters(2, 3)[1], requires_grad=True)
    y = F.conv2d(x, w, stride=2, padding=1, dilation=2)
    ((y * y).sum() / 2).backward()
    grid = driver.find_element("css selector", "#dx canvas")
    driver.execute_script("arguments[0].focus()", grid)
    press(driver, *[Keys.ARROW_UP, Keys.ARROW_LEFT] * 5)
    for row in range(9):
        for column in range(9) if row % 2 == 0 else reversed(range(9)):
            assert total(driver, "backward-sum") == pytest.approx(
                x.grad[0, 0, row, column].item(), abs=1e-6
            )
            press(driver, Keys.ARROW_RIGHT if row % 2 == 0 else Keys.ARROW_LEFT)
        press(driver, Keys.ARROW_DOWN)
    grid = driver.find_element("css selector", "#dw canvas")
    driver.execute_script("arguments[0].focus()", grid)
    press(driver, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert total(driver, "backward-sum") == pytest.approx(w.grad[0, 0, 1, 1].item(), abs=1e-5)


def test_conv2d_algorithms(see, driver):
    see("conv2d")
    rows = driver.find_elements("css selector", "#algorithms tr[data-algorithm]")
    assert {row.get_attribute("data-algorithm") for row in rows} == set(
        tn.kernels.ALGORITHMS["conv2d"]
    )
    said = {row.get_attribute("data-algorithm"): row.text for row in rows}
    assert "does not apply" in said["winograd"]  # stride 2
    assert "chosen by auto" in " ".join(said.values())


def test_max_pool2d(see, driver):
    from selenium.webdriver.common.keys import Keys

    see("max_pool2d")
    x = tn.tensor(windows.image(9)[None, None], requires_grad=True)
    y = F.max_pool2d(x, 3, stride=2, padding=1)
    ((y * y).sum() / 2).backward()
    slider = driver.find_element("id", "slider")
    driver.execute_script("arguments[0].focus()", slider)
    press(driver, Keys.HOME)
    for value in y.detach().numpy().ravel():
        assert total(driver, "sum") == pytest.approx(float(value), abs=1e-7)
        press(driver, Keys.ARROW_RIGHT)
    grid = driver.find_element("css selector", "#dx canvas")
    driver.execute_script("arguments[0].focus()", grid)
    press(driver, *[Keys.ARROW_UP, Keys.ARROW_LEFT] * 9)
    for column in range(9):
        for row in range(9) if column % 2 == 0 else reversed(range(9)):
            assert total(driver, "backward-sum") == pytest.approx(
                x.grad[0, 0, row, column].item(), abs=1e-6
            )
            press(driver, Keys.ARROW_DOWN if column % 2 == 0 else Keys.ARROW_UP)
        press(driver, Keys.ARROW_RIGHT)


def embedded(driver):
    return driver.execute_script("return data")


def visit_cells(driver, host, rows, columns):
    """Walk over a grid with the arrow keys; yields each cell once it is selected."""
    from selenium.webdriver.common.keys import Keys

    grid = driver.find_element("css selector", f"#{host} canvas")
    driver.execute_script("arguments[0].focus()", grid)
    press(driver, *[Keys.ARROW_RIGHT, Keys.ARROW_DOWN], *[Keys.ARROW_UP, Keys.ARROW_LEFT] * 9)
    for row in range(rows):
        for column in range(columns) if row % 2 == 0 else reversed(range(columns)):
            yield row, column
            press(driver, Keys.ARROW_RIGHT if row % 2 == 0 else Keys.ARROW_LEFT)
        press(driver, Keys.ARROW_DOWN)


def test_batch_norm(see, driver):
    see("batch_norm")
    given = embedded(driver)
    N, C = given["N"], given["C"]
    x = tn.tensor(np.array(given["x"], np.float32).reshape(N, C), requires_grad=True)
    weight, bias = tn.tensor(given["weight"]), tn.tensor(given["bias"])
    y = F.batch_norm(x, None, None, weight, bias, training=True)
    y.backward(tn.tensor(np.array(given["dy"], np.float32).reshape(N, C)))
    for n, c in visit_cells(driver, "x", N, C):
        assert total(driver, "sum") == pytest.approx(y[n, c].item(), abs=1e-5)
        assert total(driver, "backward-sum") == pytest.approx(x.grad[n, c].item(), abs=1e-5)
        # the expression in full is what it says it equals
        written = driver.find_element("id", "backward-sum").text.split(" = ")[2]
        expression = written.replace("\u2212", "-").replace("\u00b7", "*")
        assert eval(expression) == pytest.approx(total(driver, "backward-sum"), abs=1e-2)
    touched = np.array(given["touched"]).reshape(N, N, C)
    assert np.abs(touched.sum(1)).max() < 1e-5  # shifting a channel changes nothing


def test_cross_entropy(see, driver):
    see("cross_entropy")
    given = embedded(driver)
    N, C = given["N"], given["C"]
    logits = np.array(given["logits"]).reshape(N, C)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    onehot = np.eye(C)[given["target"]]
    for n, c in visit_cells(driver, "logits", N, C):
        assert total(driver, "sum") == pytest.approx(p[n, c], abs=1e-6)
        assert total(driver, "backward-sum") == pytest.approx((p - onehot)[n, c] / N, abs=1e-6)
    losses = -np.log((p * onehot).sum(1))
    assert given["losses"] == pytest.approx(losses, abs=1e-5)


def test_broadcasting(see, driver):
    see("broadcasting")
    x, y = np.arange(1.0, 4)[:, None], np.arange(10.0, 14)
    dz = (np.arange(12) % 3 + 1.0).reshape(3, 4)
    for row, column in visit_cells(driver, "z", 3, 4):
        assert total(driver, "sum") == (x * y)[row, column]
    for row, _ in visit_cells(driver, "dx", 3, 1):
        assert total(driver, "backward-sum") == (dz * y).sum(1)[row]
        assert products(driver, "backward-sum") == total(driver, "backward-sum")
    for _, column in visit_cells(driver, "dy", 1, 4):
        assert total(driver, "backward-sum") == (dz * x).sum(0)[column]
