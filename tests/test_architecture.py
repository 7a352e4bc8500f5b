"""The house plan, read from the sources: imports point down, `import tinynet` stays light."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tinynet.kernels as kernels

ROOT = Path(__file__).parent.parent

# Each room's floor; a module may import from its own room and from lower floors.
FLOORS = {
    "tinynet.kernels": 0,
    "tinynet.dtypes": 1,
    "tinynet.parity": 1,
    "tinynet.device": 1,
    "tinynet.random": 1,
    "tinynet.autograd": 2,
    "tinynet.formatting": 2,
    "tinynet.ops": 2,
    "tinynet.methods": 2,
    "tinynet.special": 2,
    "tinynet.linalg": 2,
    "tinynet.settings": 1,
    "tinynet.return_types": 1,
    "tinynet.tensor": 2,
    "tinynet.tensor_types": 2,
    "tinynet": 2,
    "tinynet.nn": 3,
    "tinynet.optim": 3,
    "tinynet.utils": 3,
    "tinynet.profiler": 3,
    "tinynet.testing": 3,
    "tinynet.accelerator": 3,
    "tinynet.amp": 3,
    "tinynet.backends": 3,
    "tinynet.func": 3,
    "tinynet.hub": 3,
    "tinynet.multiprocessing": 3,
    "tinynet.version": 3,
    "tinynet.cuda": 3,
    "tinynet.models": 4,
    "tinynet.datasets": 4,
    "tinynet.transforms": 4,
    "tinynet.metrics": 4,
    "tinynet.io": 4,
    "tinynet.viz": 4,
    "tinynet.bench": 5,
    "tinynet.train": 5,
    "tinynet.cli": 5,
}
# Within the calculus: what each may import of its floor.
CALCULUS = {
    "tinynet.autograd": {"tinynet.autograd"},
    "tinynet.formatting": {"tinynet.autograd"},
    "tinynet.ops": {"tinynet.ops", "tinynet.autograd"},
    "tinynet.linalg": {"tinynet.ops"},
    "tinynet.special": {"tinynet.ops"},
    "tinynet.methods": {"tinynet.ops"},
    "tinynet.tensor": {"tinynet.ops", "tinynet.autograd", "tinynet.formatting", "tinynet.methods"},
    "tinynet.tensor_types": {"tinynet.ops", "tinynet.tensor"},
    "tinynet": {
        "tinynet.ops",
        "tinynet.autograd",
        "tinynet.formatting",
        "tinynet.linalg",
        "tinynet.methods",
        "tinynet.special",
        "tinynet.tensor",
        "tinynet.tensor_types",
    },
}


def modules():
    for path in sorted([*ROOT.glob("tinynet/**/*.py"), *ROOT.glob("kernels/**/*.py")]):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[0] == "kernels":
            parts.insert(0, "tinynet")
        package = path.name == "__init__.py"
        if package:
            parts.pop()
        yield ".".join(parts), package, path


def room(module):
    parts = module.split(".")
    return ".".join(parts[:2])


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(module, package, tree):
    """(line, imported module) of each import that runs, those inside functions included."""
    skipped = {id(n) for t in ast.walk(tree) if is_type_checking(t) for n in ast.walk(t)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            if node.level:
                base = base[: len(base) - node.level + package]
                prefix = ".".join(base + ([node.module] if node.module else []))
            else:
                prefix = node.module
            for alias in node.names:
                full = f"{prefix}.{alias.name}"
                yield node.lineno, full if full in ALL_MODULES else prefix


ALL_MODULES = {m for m, _, _ in modules()}


def test_every_room_has_a_floor():
    assert {room(m) for m in ALL_MODULES} <= set(FLOORS)


def test_imports_point_down():
    wrong = []
    for module, package, path in modules():
        mine = room(module)
        for line, target in imports(module, package, ast.parse(path.read_text())):
            if not target.startswith("tinynet"):
                continue
            other = room(target)
            below = FLOORS[other] < FLOORS[mine] or other == mine
            if FLOORS[mine] == 2 and FLOORS[other] == 2:
                below = other in CALCULUS[mine]
            elif other == "tinynet":
                below = FLOORS[mine] > 2
            if not below and FLOORS[mine] == FLOORS[other]:
                below = FLOORS[mine] in (1, 3, 4, 5)  # rooms of one floor may visit each other
            if not below:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {mine} imports {target}")
    assert wrong == []


def test_kernels_know_nothing_of_tensors():
    for module, package, path in modules():
        if room(module) == "tinynet.kernels":
            for line, target in imports(module, package, ast.parse(path.read_text())):
                inside = not target.startswith("tinynet") or room(target) == "tinynet.kernels"
                assert inside, f"{path}:{line} imports {target}"


def test_no_import_circles():
    graph = {m: set() for m in ALL_MODULES}
    for module, package, path in modules():
        tree = ast.parse(path.read_text())
        top = ast.Module([n for n in tree.body if not is_type_checking(n)], [])
        for node in list(top.body):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                top.body.remove(node)
        for _, target in imports(module, package, top):
            if target in graph and target != module and not module.startswith(target + "."):
                graph[module].add(target)
    done, path = set(), []

    def visit(node):
        assert node not in path, " -> ".join([*path[path.index(node) :], node])
        if node not in done:
            path.append(node)
            for following in sorted(graph[node]):
                visit(following)
            path.pop()
            done.add(node)

    for node in sorted(graph):
        visit(node)


def test_import_loads_nothing_but_numpy():
    program = (
        "import sys, numpy, numpy.random; before = set(sys.modules); import tinynet; "
        "new = {m.split('.')[0] for m in set(sys.modules) - before}; "
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["tinynet"]


def test_import_leaves_out_what_few_programs_need():
    program = "import sys, tinynet; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    for name in ("gradcheck", "trace", "ledger", "formula", "observe", "anomaly"):
        assert f"tinynet.autograd.{name}" not in loaded
    for name in ("tinynet.nn", "tinynet.profiler", "numpy.random", "statistics", "difflib"):
        assert name not in loaded


def test_what_is_imported_later_is_there_by_name():
    program = """
import tinynet
from tinynet.autograd.gradcheck.problem import Problem  # sets the package's attribute gradcheck
import tinynet.autograd.trace
from tinynet.autograd import Ledger, gradcheck, trace
x = tinynet.ones(2, dtype=tinynet.float64, requires_grad=True)
assert gradcheck(lambda x: x * x, x)
with trace() as ledger:
    tinynet.autograd.anomaly()
assert isinstance(ledger, Ledger)
assert tinynet.anomaly is tinynet.autograd.anomaly
assert set(tinynet.autograd.__all__) <= set(dir(tinynet.autograd))
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_packages_are_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(m for m, package, _ in modules() if package)


def test_every_kernel_family_has_its_files():
    folders = {path.parent.name for path in (ROOT / "kernels").glob("*/__init__.py")}
    assert folders == {*kernels.FAMILIES, "cuda_host"}
    for family in kernels.FAMILIES:
        for name in ("reference.py", "cpu.py", "cuda.py", "cases.py"):
            assert (ROOT / "kernels" / family / name).exists(), f"{family} lacks {name}"


@pytest.mark.parametrize("name", ["README.md", "pyproject.toml", "LICENSE", ".ci/run"])
def test_top_level(name):
    assert (ROOT / name).exists()


def test_backward_can_be_read_in_one_sitting():
    """`loss.backward()` from top to bottom: the walk in under 200 lines of code."""
    source = (ROOT / "tinynet/autograd/engine.py").read_text()
    functions = {n.name: n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}
    path = ["backward", "walk", "_roots", "_fitted", "_finish", "_accumulate", "_pull_joint"]
    assert sum(functions[n].end_lineno - functions[n].lineno + 1 for n in path) < 200
