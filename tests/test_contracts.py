"""Promises about the source as a whole: who imports whom, what is public, what an import costs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

import rs2sam
from rs2sam import errors

SOURCE = Path(rs2sam.__file__).parent

# The floors of the house, lowest first; on one floor stand those that do not need each other, or the files of one
# subject. Lower never imports higher, neither at once nor inside a function. A module belongs to the longest prefix
# that fits it.
LAYERS: list[set[str]] = [
    {"rs2sam.errors"},
    {"rs2sam.files", "rs2sam.fields", "rs2sam.versions", "rs2sam.drawing", "rs2sam.metrics", "rs2sam.tokenizer"},
    # Tables of names, which know of nothing else.
    {
        f"rs2sam.datasets.english.{name}"
        for name in ("nouns", "more_nouns", "trade_nouns", "wordnet", "training_nouns", "vocabulary")
    },
    {"rs2sam.raster"},
    {"rs2sam.imaging"},
    {"rs2sam.processing", "rs2sam.processing_config"},
    {"rs2sam.pictures"},
    {"rs2sam.language", "rs2sam.models"},
    {"rs2sam.vector", "rs2sam.backends"},
    {"rs2sam.views"},
    {"rs2sam.segmenter"},
    {"rs2sam.mirror", "rs2sam.scenes", "rs2sam.export"},
    {"rs2sam.batch"},
    {"rs2sam", "rs2sam.folders", "rs2sam.datasets"},
    {"rs2sam.evaluation", "rs2sam.benchmarking", "rs2sam.serve", "rs2sam.client"},
    {"rs2sam.training"},
    {"rs2sam.cli", "rs2sam.__main__"},
]

# Inside the large packages, the folders of each from the lowest to the highest; files beside them stand on the floor of
# the longest prefix that fits.
INSIDE: list[list[str]] = [
    [
        "rs2sam.datasets.base",
        "rs2sam.datasets.english",
        "rs2sam.datasets.readers",
        "rs2sam.datasets.checks",
        "rs2sam.datasets.mixing",
        "rs2sam.datasets.synthetic",
        "rs2sam.datasets.making",
    ],
    [
        "rs2sam.training.recipes",
        "rs2sam.training.examples",
        "rs2sam.training.objective",
        "rs2sam.training.keeping",
        "rs2sam.training.reporting",
        "rs2sam.training.initial",
        "rs2sam.training.kinds",
        "rs2sam.training.trainer",
        "rs2sam.training.ablation",
    ],
]

MOST_MODULES = 15
"""In one folder, `__init__` aside: what a reader takes in at a glance."""

# Libraries and the only packages that may import them, at any depth of indentation.
ONLY_IN = {
    "torch": (
        "rs2sam.models",
        "rs2sam.training",
        "rs2sam.backends.torch",
        "rs2sam.backends.torch_once",
        "rs2sam.backends.torch_concepts",
        "rs2sam.export",
        "rs2sam.benchmarking.torch_side",
        "rs2sam.benchmarking.concept_side",
        "rs2sam.cli",
    ),
    "transformers": ("rs2sam.models", "rs2sam.training", "rs2sam.backends.torch", "rs2sam.export", "rs2sam.cli"),
    "onnxruntime": ("rs2sam.backends.onnx",),
    "ray": ("rs2sam.batch.ray_engine",),
    "pystac": ("rs2sam.batch",),
    **dict.fromkeys(("fastapi", "starlette", "pydantic", "anyio", "prometheus_client", "rio_tiler"), ("rs2sam.serve",)),
    "uvicorn": ("rs2sam.cli.service",),
    "sentencepiece": ("rs2sam.tokenizer", "rs2sam.models.weights.published_tokenizer"),
    "huggingface_hub": ("rs2sam.models.weights.download", "rs2sam.models.weights.hub"),
    "tokenizers": (),
    "torchvision": (),
    "timm": (),
}

# (importer, imported): packages that know each other only through a door.
NEVER = [
    ("rs2sam.models", "rs2sam.datasets"),
    ("rs2sam.models", "rs2sam.raster"),
    ("rs2sam.models", "rs2sam.language"),
    ("rs2sam.language", "rs2sam.raster"),
    ("rs2sam.language", "rs2sam.models"),
    ("rs2sam.raster", "rs2sam.language"),
    *(
        (importer, imported)
        for importer in ("rs2sam.raster", "rs2sam.vector", "rs2sam.views")
        for imported in ("rs2sam.models", "rs2sam.backends", "rs2sam.datasets")
    ),
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


@cache
def imports_of(path: Path) -> set[str]:
    """Modules that a module imports: `from a import b` counts as `a.b` where that is one of ours, else as `a`."""
    found: set[str] = set()
    pending: list[ast.AST] = [tree_of(path)]
    while pending:
        node = pending.pop()
        if is_type_checking(node):
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(name if name in MODULES else node.module for name in named)
        pending.extend(ast.iter_child_nodes(node))
    return found


def modules_of(name: str) -> set[str]:
    """Our own modules that a module imports, at once or inside a function."""
    return imports_of(MODULES[name]) & set(MODULES) - {name}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def layer_of(name: str) -> int | None:
    """Number of a module's layer; None for what is none of ours."""
    fitting = [
        (len(package), number)
        for number, packages in enumerate(LAYERS)
        for package in packages
        if (name == package if package == "rs2sam" else within(name, package))
    ]
    return max(fitting)[1] if fitting else None


def folder_of(name: str, order: list[str]) -> int | None:
    """Number of a module's folder among those of its package; None for what is in none of them."""
    return next((number for number, folder in enumerate(order) if within(name, folder)), None)


def test_every_module_has_a_layer():
    assert [name for name in MODULES if layer_of(name) is None] == []


def test_lower_layers_do_not_import_higher_ones():
    pairs = [(name, imported) for name in MODULES for imported in modules_of(name)]
    assert pairs
    assert [pair for pair in pairs if layer_of(pair[1]) > layer_of(pair[0])] == []


def test_lower_folders_of_a_package_do_not_import_higher_ones():
    guilty, num_seen = [], 0
    for order in INSIDE:
        for name in MODULES:
            own = folder_of(name, order)
            for imported in modules_of(name) if own is not None else ():
                num_seen += 1
                guilty += [(name, imported)] if (folder_of(imported, order) or 0) > own else []
    assert num_seen
    assert guilty == []


def test_no_imports_go_in_a_circle():
    imports = {name: modules_of(name) for name in MODULES}
    while leaves := {name for name, imported in imports.items() if not imported & set(imports)}:
        imports = {name: imported for name, imported in imports.items() if name not in leaves}
    # Those above a circle are left too; what nothing left imports is not in it.
    while idle := set(imports) - set().union(*imports.values()):
        imports = {name: imported for name, imported in imports.items() if name not in idle}
    assert not imports, f"a circle among {sorted(imports)}"


def test_a_folder_holds_no_more_than_a_reader_takes_in():
    folders = Counter(path.parent for path in MODULES.values() if path.name != "__init__.py")
    assert {str(folder): count for folder, count in folders.items() if count > MOST_MODULES} == {}


def test_tests_mirror_the_source():
    """A folder of tests that has no folder in the source is one that a move has left behind."""
    tests = Path(__file__).parent
    own = {"parity", "fixtures"}
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    assert {str(folder) for folder in folders if not (SOURCE / folder).is_dir()} <= own


def test_heavy_libraries_are_imported_where_they_belong():
    imports = [(name, imported.partition(".")[0]) for name in MODULES for imported in imports_of(MODULES[name])]
    heavy = [(name, library) for name, library in imports if library in ONLY_IN]
    assert heavy
    guilty = [(name, library) for name, library in heavy if not any(within(name, place) for place in ONLY_IN[library])]
    assert guilty == []


def test_packages_that_meet_through_a_door_do_not_import_each_other():
    guilty = [
        (name, target)
        for importer, imported in NEVER
        for name in MODULES
        if within(name, importer)
        for target in imports_of(MODULES[name])
        if within(target, imported)
    ]
    assert guilty == []


def test_no_module_prints_or_reads_the_environment():
    guilty = [
        f"{name}:{node.lineno}"
        for name, path in MODULES.items()
        if not within(name, "rs2sam.cli")
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"})
    ]
    assert guilty == []


@pytest.mark.parametrize("name", ["rs2sam", "rs2sam.raster", "rs2sam.views"])
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
    for name in ("rs2sam", "rs2sam.raster", "rs2sam.views"):
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
            "from rs2sam.cli import main; main(['serve', '--help'])",
            {"torch", "transformers", "onnxruntime", "rasterio", "fastapi", "uvicorn", "rio_tiler"},
        ),
        ("import rs2sam.client", {"torch", "onnxruntime", "rasterio", "fastapi"}),
        (
            "from rs2sam.cli import main; main(['batch', '--help'])",
            {"torch", "transformers", "onnxruntime", "rasterio", "ray", "pystac", "pyarrow"},
        ),
        ("import rs2sam.language.scope", {"torch", "transformers", "onnxruntime", "rasterio", "shapely", "PIL"}),
        pytest.param(
            "import rs2sam.training.recipes.settings",
            {"onnxruntime", "rasterio"},
            marks=pytest.mark.skipif(find_spec("transformers") is None, reason="transformers comes with rs2sam[torch]"),
        ),
        ("import rs2sam.raster.tiling", {"torch", "onnxruntime", "rasterio", "shapely"}),
        ("from rs2sam.segmenter import Segmenter", {"torch", "transformers"}),
        (
            "import rs2sam.evaluation.campaign, rs2sam.evaluation.comparing",
            {"torch", "transformers", "accelerate", "onnxruntime"},
        ),
        (
            "from rs2sam.raster import read_scene; from rs2sam.views import segment_scene; import rs2sam.scenes.run",
            {"torch", "transformers", "onnxruntime"},
        ),
    ],
)
def test_an_import_loads_no_more_than_it_needs(statement, absent):
    assert not loaded_after(statement) & absent
