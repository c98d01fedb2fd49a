"""What ships beside the package says what pyproject.toml says: conda recipe, Dockerfile, constraints, licences."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import rs2sam
from rs2sam.cli.service.serve import settings_from
from rs2sam.errors import InvalidInputError

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools" / "release"))
import coverage_limits  # noqa: E402
from environments import package_version, run  # noqa: E402
from licenses import licence_of, refused  # noqa: E402
from lowest import lowest, pins, requirements  # noqa: E402

RECIPE = ROOT / "integrations" / "conda" / "recipe.yaml"
DOCKERFILE = ROOT / "integrations" / "docker" / "Dockerfile"

# Names that conda-forge gives packages of ours otherwise.
CONDA = {
    "torch": "pytorch",
    "ray": "ray-data",
    "prometheus-client": "prometheus_client",
    "huggingface-hub": "huggingface_hub",
    "matplotlib": "matplotlib-base",
}


def test_the_version_stands_in_one_place() -> None:
    assert package_version() == rs2sam.__version__
    assert re.search(r'^version\s*=\s*"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE) is None
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == rs2sam.__version__


# --- conda ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    return loaded


def test_the_conda_recipe_has_the_version_and_the_base_requirements(recipe: dict[str, Any]) -> None:
    assert recipe["context"]["version"] == rs2sam.__version__
    wanted = {f"{CONDA.get(name, name)} {bounds}" for name, bounds in requirements()}
    assert set(recipe["requirements"]["run"]) == wanted | {"python >=3.10"}


def test_the_conda_recipe_constrains_what_the_extras_need(recipe: dict[str, Any]) -> None:
    base = {name for name, _ in requirements()}
    wanted = {f"{CONDA.get(name, name)} {bounds}" for name, bounds in requirements(["all"]) if name not in base}
    assert set(recipe["requirements"]["run_constraints"]) == wanted


def test_files_that_the_conda_recipe_names_are_there(recipe: dict[str, Any]) -> None:
    assert [name for name in recipe["about"]["license_file"] if not (ROOT / name).is_file()] == []
    assert (RECIPE.parent / recipe["source"]["path"]).resolve() == ROOT


def test_rattler_renders_the_conda_recipe() -> None:
    rattler_build = pytest.importorskip("rattler_build")
    (rendered,) = rattler_build.Stage0Recipe.from_file(RECIPE).render()
    told = rendered.recipe.to_dict()
    assert (told["package"]["version"], told["build"]["noarch"]) == (rs2sam.__version__, "python")


# --- container --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their words, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1].strip()) for line in text.splitlines() if line.strip()]


def test_the_container_installs_an_extra_that_there_is(instructions: list[tuple[str, str]]) -> None:
    arguments = dict(words.split("=", 1) for name, words in instructions if name == "ARG")
    assert list(requirements(arguments["EXTRAS"].split(",")))
    version = re.fullmatch(r"python:3\.(\d+)-slim-\w+", arguments["BASE"])
    assert version is not None
    assert 10 <= int(version[1]) <= 13


def test_the_container_copies_all_that_a_build_reads(instructions: list[tuple[str, str]]) -> None:
    copied = " ".join(words for name, words in instructions if name == "COPY" and "--from" not in words).split()
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = {
        "pyproject.toml",
        "src",
        "constraints.txt",
        *re.findall(r'^readme = "(.+)"', text, re.MULTILINE),
        "LICENSE",
    }
    assert wanted <= set(copied)
    kept = [
        line[1:] for line in DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    assert set(copied) - {".", "./"} <= set(kept)
    assert [name for name in kept if not (ROOT / name).exists()] == []


def test_the_container_runs_as_somebody_without_rights(instructions: list[tuple[str, str]]) -> None:
    last = max(index for index, (name, _) in enumerate(instructions) if name == "FROM")
    users = [words for name, words in instructions[last:] if name == "USER"]
    assert users
    assert users[-1] not in ("root", "0")


def test_what_the_container_serves_wants_a_token(
    instructions: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rs2sam.cli.service.serve import serve

    name, *words = json.loads(dict(instructions)["CMD"])
    assert (name, json.loads(dict(instructions)["ENTRYPOINT"])) == ("serve", ["rs2sam"])
    words = [str(tmp_path) if word.startswith("/var") else word for word in words]
    options = serve.make_context(name, words).params
    monkeypatch.delenv("RS2SAM_TOKEN", raising=False)
    with pytest.raises(InvalidInputError, match="only with a token"):
        settings_from(options)
    monkeypatch.setenv("RS2SAM_TOKEN", "a-token-of-16-or-more")
    settings = settings_from(options)
    assert str(settings.port) == dict(instructions)["EXPOSE"]


# --- extras, constraints and licences ---------------------------------------------------------------------------------


def test_all_has_every_extra_of_users() -> None:
    own = {"docs", "test", "release", "dev", "browser", "api", "mutation", "all"}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    offered = set(re.findall(r"^(\w+) = \[", section, re.MULTILINE)) - own
    everything = set(requirements(["all"]))
    assert len(offered) >= 11
    assert {extra for extra in offered if not set(requirements([extra])) <= everything} == set()
    listed = re.findall(
        r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", (ROOT / "docs/install.md").read_text(), re.MULTILINE))
    )
    assert set(listed) == offered


def test_an_extra_that_there_is_not_is_refused() -> None:
    with pytest.raises(SystemExit, match="no extra 'gpu'"):
        list(requirements(["gpu"]))


def test_the_lowest_version_is_the_highest_of_several_lower_bounds() -> None:
    assert lowest(["dev"])["sentencepiece"] == "0.2.3"
    assert lowest()["sentencepiece"] == "0.2.2"
    assert lowest()["rasterio"] == "1.4"


def test_pinned_versions_lie_within_the_bounds() -> None:
    specifiers = pytest.importorskip("packaging.specifiers")
    pinned = pins()
    wanted = set(requirements(["all", "docs", "test", "release", "dev", "browser", "api", "mutation"]))
    assert [name for name, _ in wanted if name not in pinned] == []
    outside = [name for name, bounds in wanted if pinned[name] not in specifiers.SpecifierSet(bounds)]
    assert outside == []


def test_the_page_of_licences_lists_what_is_asked_for_directly() -> None:
    page = (ROOT / "docs" / "licenses.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([\w.-]+) \| ([\w.]+) \|", page, re.MULTILINE))
    wanted = {name for name, _ in requirements(["all", "docs", "test", "release", "dev", "browser", "api", "mutation"])}
    assert wanted <= set(listed)


class Declared:
    """A package that declares things."""

    def __init__(self, **said: str) -> None:
        self.metadata = self
        self.said = {"Name": "some", **{key.replace("_", "-"): value for key, value in said.items()}}

    def get(self, key: str) -> str | None:
        return self.said.get(key)

    def get_all(self, key: str) -> list[str]:
        return [self.said[key]] if key in self.said else []

    def __getitem__(self, key: str) -> str:
        return self.said[key]


@pytest.mark.parametrize(
    ("said", "licence", "is_allowed"),
    [
        ({"License_Expression": "MIT"}, "MIT", True),
        ({"License_Expression": "MIT AND (Zlib OR 0BSD)"}, "MIT AND (Zlib OR 0BSD)", True),
        ({"License_Expression": "MIT AND GPL-3.0-only"}, "MIT AND GPL-3.0-only", False),
        ({"License": "Apache 2.0"}, "Apache-2.0", True),
        ({"License": "MIT License\n\nCopyright (c) somebody"}, "MIT", True),
        ({"Classifier": "License :: OSI Approved :: Apache Software License"}, "Apache-2.0", True),
        ({"License": "Proprietary"}, "Proprietary", False),
        ({"Classifier": "License :: OSI Approved :: GNU GPL v3 (GPLv3)"}, "GNU GPL v3 (GPLv3)", False),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, "BSD License", False),
        ({}, "", False),
    ],
)
def test_a_licence_is_allowed_or_refused_by_what_is_declared(
    said: dict[str, str], licence: str, is_allowed: bool
) -> None:
    declared: Any = Declared(**said)
    assert licence_of(declared) == licence
    assert (refused(licence) == []) == is_allowed


def test_a_tool_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"(?s)why.*exit code 3"):
        run(["sh", "-c", "echo why; exit 3"], tmp_path)


@pytest.mark.parametrize(
    ("lines", "branches", "code"), [((90, 100), (85, 100), 0), ((89, 100), (100, 100), 1), ((100, 100), (84, 100), 1)]
)
def test_coverage_below_a_limit_fails_and_names_the_file(
    lines: tuple[int, int],
    branches: tuple[int, int],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = {
        "covered_lines": lines[0],
        "num_statements": lines[1],
        "missing_lines": lines[1] - lines[0],
        "covered_branches": branches[0],
        "num_branches": branches[1],
        "missing_branches": branches[1] - branches[0],
    }
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"totals": summary, "files": {"src/rs2sam/some.py": {"summary": summary}}}))
    monkeypatch.setattr(sys, "argv", ["coverage_limits.py", str(report)])
    with pytest.raises(SystemExit) as ended:
        coverage_limits.main()
    assert ended.value.code == code
    said = capsys.readouterr().out
    assert f"lines: {lines[0]:.2f} %, at least 90 %" in said
    assert f"branches: {branches[0]:.2f} %, at least 85 %" in said
    assert "src/rs2sam/some.py" in said
