"""Promises about the source as a whole: who imports whom, what is public, what an import costs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import rs2sam
from rs2sam import errors

SOURCE = Path(rs2sam.__file__).parent

# Lower never imports higher. A module belongs to the longest prefix that fits it.
LAYERS: list[set[str]] = [
    {"rs2sam.errors"},
    {"rs2sam._download", "rs2sam.versions", "rs2sam.drawing", "rs2sam.imaging", "rs2sam.metrics"},
    {"rs2sam.tokenizer"},
    {"rs2sam.processing", "rs2sam.hub"},
    {"rs2sam.pictures"},
    {"rs2sam.models", "rs2sam.raster"},
    # The export checks its graph against both backends, so it stands above them.
    {"rs2sam.backends", "rs2sam.models.exported", "rs2sam.models.onnx_export"},
    {"rs2sam.segmenter", "rs2sam.mirror", "rs2sam.export"},
    {"rs2sam.scene_run"},
    {"rs2sam.batch"},
    {"rs2sam", "rs2sam.datasets"},
    {"rs2sam.evaluation", "rs2sam.benchmarking"},
    {"rs2sam.training"},
    {"rs2sam.cli", "rs2sam.__main__"},
]
COMMAND_LAYER = len(LAYERS)

# Libraries and the only packages that may import them, at any depth of indentation.
ONLY_IN = {
    "torch": (
        "rs2sam.models",
        "rs2sam.training",
        "rs2sam.backends.torch",
        "rs2sam.export",
        "rs2sam.benchmarking.torch_side",
        "rs2sam.cli_",
    ),
    "transformers": ("rs2sam.models", "rs2sam.training", "rs2sam.backends.torch", "rs2sam.cli_"),
    "onnxruntime": ("rs2sam.backends.onnx", "rs2sam.models.onnx_export"),
    "ray": ("rs2sam.batch.ray_engine",),
    "pystac": ("rs2sam.batch",),
    "sentencepiece": ("rs2sam.tokenizer", "rs2sam.models.published_tokenizer"),
    "huggingface_hub": ("rs2sam._download", "rs2sam.hub"),
    "tokenizers": (),
    "torchvision": (),
    "timm": (),
}

# (importer, imported): packages that know each other only through a door.
NEVER = [
    ("rs2sam.models", "rs2sam.datasets"),
    ("rs2sam.models", "rs2sam.raster"),
    ("rs2sam.raster", "rs2sam.models"),
    ("rs2sam.raster", "rs2sam.backends"),
    ("rs2sam.raster", "rs2sam.datasets"),
    ("rs2sam.datasets", "rs2sam.models"),
]


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(path: Path, *, at_import_time: bool) -> set[str]:
    """Dotted names that a module imports: `from a import b` counts as `a` and `a.b`."""
    found: set[str] = set()
    pending: list[ast.AST] = [tree_of(path)]
    while pending:
        node = pending.pop()
        if is_type_checking(node):
            continue
        if at_import_time and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".") or (package.endswith("_") and name.startswith(package))


def layer_of(name: str) -> int | None:
    """Number of a module's layer; None for what is none of ours."""
    if within(name, "rs2sam.cli_"):
        return COMMAND_LAYER
    fitting = [
        (len(package), number)
        for number, packages in enumerate(LAYERS)
        for package in packages
        if (name == package if package == "rs2sam" else within(name, package))
    ]
    return max(fitting)[1] if fitting else None


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_layer(name):
    assert layer_of(name) is not None


@pytest.mark.parametrize("name", MODULES)
def test_lower_layers_do_not_import_higher_ones(name):
    own = layer_of(name)
    for imported in imports_of(MODULES[name], at_import_time=True):
        # `from rs2sam.x import Y` also yields the name of a class; only modules have layers.
        if imported in MODULES:
            assert layer_of(imported) <= own, f"{name} imports {imported}"


@pytest.mark.parametrize("name", MODULES)
def test_heavy_libraries_are_imported_where_they_belong(name):
    for imported in imports_of(MODULES[name], at_import_time=False):
        library = imported.partition(".")[0]
        if library in ONLY_IN:
            assert any(within(name, package) for package in ONLY_IN[library]), f"{name} imports {library}"


@pytest.mark.parametrize("name", MODULES)
def test_packages_that_meet_through_a_door_do_not_import_each_other(name):
    for importer, imported in NEVER:
        if within(name, importer):
            guilty = [target for target in imports_of(MODULES[name], at_import_time=False) if within(target, imported)]
            assert not guilty, f"{name} imports {guilty}"


@pytest.mark.parametrize("name", MODULES)
def test_no_module_prints_or_reads_the_environment(name):
    if within(name, "rs2sam.cli") or within(name, "rs2sam.cli_"):
        return
    for node in ast.walk(tree_of(MODULES[name])):
        if isinstance(node, ast.Name):
            assert node.id != "print", f"{name}:{node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"environ", "getenv"}, f"{name}:{node.lineno}"


@pytest.mark.parametrize("name", ["rs2sam", "rs2sam.raster"])
def test_all_is_exactly_what_the_package_offers(name):
    package = importlib.import_module(name)
    assert list(package.__all__) == sorted(package.__all__)
    submodules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    for public in package.__all__:
        assert getattr(package, public) is not None
    loaded = {key for key in vars(package) if not key.startswith("_")}
    extra = loaded - set(package.__all__) - submodules - {"annotations", "TYPE_CHECKING", "Any", "import_module"}
    assert not extra


def test_every_error_is_offered_by_the_package():
    named = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert named <= set(importlib.import_module("rs2sam").__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    for name in ("rs2sam", "rs2sam.raster"):
        with pytest.raises(AttributeError, match="nothing_of_this_name"):
            _ = importlib.import_module(name).nothing_of_this_name


def loaded_after(statement: str) -> set[str]:
    """Top-level names of all modules that a fresh interpreter has loaded after a statement."""
    code = (
        f"import sys\ntry:\n  {statement}\nexcept SystemExit:\n  pass\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {line.partition(".")[0] for line in result.stderr.splitlines()}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import rs2sam", {"torch", "transformers", "onnxruntime", "rasterio", "numpy", "PIL"}),
        (
            "from rs2sam.cli import main; main(['--help'])",
            {"torch", "transformers", "onnxruntime", "rasterio", "numpy"},
        ),
        (
            "from rs2sam.cli import main; main(['segment', '--help'])",
            {"torch", "transformers", "onnxruntime", "rasterio"},
        ),
        (
            "from rs2sam.cli import main; main(['batch', '--help'])",
            {"torch", "transformers", "onnxruntime", "rasterio", "ray", "pystac", "pyarrow"},
        ),
        ("import rs2sam.raster.tiling", {"torch", "onnxruntime", "rasterio", "shapely"}),
        ("from rs2sam.segmenter import Segmenter", {"torch", "transformers"}),
        (
            "import rs2sam.evaluation.campaign, rs2sam.evaluation.comparing",
            {"torch", "transformers", "accelerate", "onnxruntime"},
        ),
        (
            "from rs2sam.raster import read_scene, segment_scene; import rs2sam.scene_run",
            {"torch", "transformers", "onnxruntime"},
        ),
    ],
)
def test_an_import_loads_no_more_than_it_needs(statement, absent):
    assert not loaded_after(statement) & absent
