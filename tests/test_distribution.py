"""What gets installed: the wheel holds the whole tree under one import name, and importing it is cheap.

The builds run offline, on a copy of the tree, with the setuptools of this environment.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Where each folder of the tree is found once it is installed.
FOLDERS = {"genprm_sdk": "genprm_sdk", "agents": "genprm_sdk/agents", "training": "genprm_sdk/training"}
# The files that are shipped beside the modules, as globs on the installed path.
DATA = (
    "genprm_sdk/py.typed",
    "genprm_sdk/data/*.jsonl",
    "genprm_sdk/models/data/*",
    "genprm_sdk/report/*.css",
    "genprm_sdk/training/recipes/*.yaml",
    "genprm_sdk/training/pipeline/recipes/*.yaml",
    "genprm_sdk/training/tuning/launch/*.yaml",
)
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")

pytestmark = pytest.mark.timeout(300)


def installed_paths(root: Path) -> set[str]:
    """Every module and data file under ``root``, by the path it should have in the wheel."""
    paths = {
        f"{target}/{file.relative_to(root / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for file in (root / folder).rglob("*")
        if file.is_file()
    }
    return {path for path in paths if path.endswith(".py") or any(Path(path).match(glob) for glob in DATA)}


def run_python(*arguments: str, cwd: Path) -> str:
    """Standard output of an interpreter that sees installed packages only (``-I``: no cwd, no PYTHONPATH)."""
    done = subprocess.run(
        [sys.executable, "-I", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, out: Path, *options: str) -> Path:
    """Build ``source`` without a network and return the wheel."""
    run_python("-m", "build", "--no-isolation", *options, "--outdir", str(out), str(source), cwd=out.parent)
    (wheel,) = out.glob("*.whl")
    return wheel


def names(wheel: Path) -> set[str]:
    """The wheel's files, less its metadata folder."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads, so that no build leaves anything in the working tree."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=NOT_SHIPPED)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tree, tmp_path_factory.mktemp("wheel") / "dist", "--wheel")


def test_wheel_holds_every_module_and_data_file_of_the_tree(tree: Path, wheel: Path) -> None:
    expected, shipped = installed_paths(tree), names(wheel)
    assert not expected - shipped, "in the tree, not in the wheel: is a package missing in pyproject.toml?"
    assert not shipped - expected, "in the wheel, not in the tree"


def test_wheel_is_typed_and_carries_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        everything = set(archive.namelist())
    assert "genprm_sdk/py.typed" in everything
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in everything)


def test_a_forgotten_sub_package_would_be_noticed(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(tree, copy, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    for folder in FOLDERS:
        (copy / folder / "forgotten").mkdir()
        (copy / folder / "forgotten" / "__init__.py").touch()
    shipped = names(build(copy, tmp_path / "dist", "--wheel"))
    missing = {f"{target}/forgotten/__init__.py" for target in FOLDERS.values()}
    assert installed_paths(copy) - shipped == missing


def test_data_files_are_shipped_by_extension_and_place(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(tree, copy, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    added = ["genprm_sdk/data/cases.jsonl", "genprm_sdk/models/data/x.gguf", "genprm_sdk/models/data/x.md"]
    for path in added:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes(b"x")
    (copy / "training" / "checkpoint.bin").write_bytes(b"x")
    shipped = names(build(copy, tmp_path / "dist", "--wheel"))
    assert set(added) <= shipped
    assert "genprm_sdk/training/checkpoint.bin" not in shipped


def test_sdist_builds_the_same_wheel(tree: Path, wheel: Path, tmp_path: Path) -> None:
    # Without --wheel, `build` makes the sdist and then builds the wheel from it.
    by_way_of_sdist = build(tree, tmp_path / "dist")
    assert len(list((tmp_path / "dist").glob("*.tar.gz"))) == 1
    with zipfile.ZipFile(wheel) as direct, zipfile.ZipFile(by_way_of_sdist) as indirect:
        assert {(info.filename, info.CRC) for info in indirect.infolist()} == {
            (info.filename, info.CRC) for info in direct.infolist()
        }


def test_every_folder_with_modules_is_a_package(tree: Path) -> None:
    folders = {file.parent for folder in FOLDERS for file in (tree / folder).rglob("*.py")}
    without = {str(folder.relative_to(tree)) for folder in folders if not (folder / "__init__.py").exists()}
    assert not without, "an __init__.py is missing in"


def test_installed_package_imports_the_mapped_folders(tmp_path: Path) -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    script = (
        "import sys, importlib.util as u, genprm_sdk.agents, genprm_sdk.training\n"
        "print(*[n for n in sys.argv[1:] if not (s := u.find_spec(n)) or not s.origin], sep='\\n')"
    )
    missing = run_python("-c", script, *configured, cwd=tmp_path).split()
    assert not missing, "in pyproject.toml, not importable: reinstall, or mend the list"


@pytest.mark.parametrize("name", ["agents", "training", "tests", "benchmarks", "examples"])
def test_no_folder_of_the_tree_is_a_top_level_import(name: str, tmp_path: Path) -> None:
    script = "import sys, importlib.util as u; print(u.find_spec(sys.argv[1]))"
    assert run_python("-c", script, name, cwd=tmp_path).strip() == "None"


def test_the_root_is_not_on_the_path_of_the_tests() -> None:
    assert ROOT not in [Path(entry).resolve() for entry in sys.path], "call `pytest`, not `python -m pytest`"
    assert importlib.util.find_spec("agents") is None


def test_import_is_light(tmp_path: Path) -> None:
    heavy = ["gguf", "llama_cpp", "numpy", "scipy", "sympy", "tokenizers", "torch", "transformers"]
    script = "import sys, genprm_sdk; print(*sorted(set(sys.argv[1:]) & set(sys.modules)))"
    assert run_python("-c", script, *heavy, cwd=tmp_path).split() == []


def test_version_and_command_come_from_the_metadata(tmp_path: Path) -> None:
    version = importlib.metadata.version("genprm-sdk")
    assert (
        run_python("-c", "import genprm_sdk; print(genprm_sdk.__version__)", cwd=tmp_path).strip() == version
    )
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="genprm")
    assert command.value == "genprm_sdk.cli:main"
    assert callable(command.load())


def test_torch_comes_only_with_the_extras_that_need_it() -> None:
    requirements = importlib.metadata.requires("genprm-sdk") or []
    extras = {
        found.group(1) if (found := re.search(r"extra == ['\"](\w+)['\"]", line)) else "core"
        for line in requirements
        if re.match(r"(torch|transformers)\b", line) or "[transformers" in line or "[train" in line
    }
    assert extras <= {"transformers", "train", "all"}, "`make demo` must not install torch"
