"""The documentation is true: its blocks run, its commands can be given, and what it names is there."""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
import typer

from genprm_sdk.cli.app import app

from .pages import PAGES, ROOT, Block, blocks_of, commands_of, links_of, name_of, spans_of

GENPRM = [sys.executable, "-c", "import sys; from genprm_sdk.cli import main; sys.exit(main())"]
LANGUAGES = {"", "bash", "console", "json", "python", "text", "yaml"}
FOLDERS = ("agents", "benchmarks", "docs", "examples", "genprm_sdk", "tests", "training")
A_PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*")
EXTRAS = re.compile(r"(?:genprm-sdk|'\.)\[([a-z,]+)\]")
NUMBER = re.compile(r"\d+")
MARKS = ("✓", "✗", "→")

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [(block, words) for block in BLOCKS for words, _ in commands_of(block)]
SPANS = [(page, span) for page in PAGES for span in spans_of(page)]

pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


def place(block: Block) -> str:
    return f"{name_of(block.page)}:{block.line}"


def compiled(block: Block) -> CodeType:
    """The block as it would run in a notebook, where ``await`` may stand at the top."""
    source = "\n" * (block.line - 1) + block.code
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(source, str(block.page), "exec", flags=flags, dont_inherit=True)
    assert isinstance(code, CodeType)
    return code


# ----------------------------------------------------------------------------------------------- what runs


@pytest.mark.timeout(300)
@pages
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in blocks_of(page):
            if block.title is not None:
                (tmp_path / block.title).write_text(block.code, encoding="utf-8")
            if block.reason is not None:
                continue
            if block.language == "python":
                running = FunctionType(compiled(block), namespace)()
                if inspect.iscoroutine(running):
                    runner.run(running)
            elif block.language == "console":
                for words, shown in commands_of(block):
                    if words[0] == "genprm":
                        run_command(words[1:], shown)


def run_command(arguments: list[str], shown: list[str]) -> None:
    """Run a command as a user would; lines with a mark are compared, up to the numbers in them."""
    done = subprocess.run([*GENPRM, *arguments], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    said = [NUMBER.sub("N", line) for line in done.stdout.splitlines()]
    for line in shown:
        if line.startswith(MARKS):
            assert any(each.startswith(NUMBER.sub("N", line)) for each in said), (line, done.stdout)


def test_the_program_in_the_readme_is_short() -> None:
    (program,) = [block.code for block in blocks_of(ROOT / "README.md") if block.language == "python"]
    assert len([line for line in program.splitlines() if line]) <= 10


# ------------------------------------------------------------------------------------------- what does not


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.reason is not None], ids=place)
def test_a_block_that_is_not_run_says_why_and_could_be_written(block: Block) -> None:
    assert block.reason
    if block.language == "python":
        compiled(block)
        tree = ast.parse(block.code)
        names = imported(tree)
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and (function := called(call.func, names)) is not None:
                check_keywords(call, function)


def imported(tree: ast.AST) -> dict[str, Any]:
    """What a block imports of this library, by the names that it has there."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("genprm_sdk"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def called(function: ast.expr, names: dict[str, Any]) -> Any:
    """What a call calls, if it is of this library."""
    if isinstance(function, ast.Attribute):
        owner = called(function.value, names)
        return None if owner is None else getattr(owner, function.attr)
    return names.get(function.id) if isinstance(function, ast.Name) else None


def check_keywords(call: ast.Call, function: Any) -> None:
    parameters = inspect.signature(function).parameters
    if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        assert {keyword.arg for keyword in call.keywords} <= set(parameters), function


# -------------------------------------------------------------------------------------------------- commands


@cache
def command_line() -> Any:
    """The command ``genprm``, whose commands do nothing."""

    def silenced(command: Any) -> Any:
        for each in getattr(command, "commands", {}).values():
            silenced(each)
        if not hasattr(command, "commands"):
            command.callback = lambda **_: None
        return command

    return silenced(typer.main.get_command(app))


@pytest.mark.parametrize(
    ("block", "words"),
    [pytest.param(*each, id=f"{place(each[0])}-{' '.join(each[1])}") for each in COMMANDS],
)
def test_a_command_can_be_given(block: Block, words: list[str]) -> None:
    check_command(words)


def check_command(words: list[str]) -> None:
    if words[0] == "genprm":
        command_line().main(args=words[1:], prog_name="genprm", standalone_mode=False)
    elif words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(words[1:2]) <= set(targets)
    elif words[:2] == ["python", "-m"] and words[2].startswith("genprm_sdk"):
        assert importlib.util.find_spec(words[2]) is not None
    elif words[0] == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file()


@pytest.mark.parametrize(
    "span", sorted({span for _, span in SPANS if span.startswith(("genprm ", "make ", "python "))})
)
def test_a_command_in_the_text_is_there(span: str) -> None:
    """Its words may be cut short, but what there is of commands and options must exist."""
    words = span.split()
    if words[0] != "genprm":
        check_command(words)
        return
    command = command_line()
    for word in words[1:]:
        if word.startswith("--"):
            options = {name for parameter in command.params for name in parameter.opts}
            assert word in {*options, "--help"}, command.name
        elif hasattr(command, "commands"):
            assert word in command.commands
            command = command.commands[word]


# ------------------------------------------------------------------------------------------------ the rest


def test_every_block_says_what_it_is() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "json"], ids=place)
def test_json_can_be_read(block: Block) -> None:
    json.loads(block.code)


def recipes() -> Iterator[Any]:
    for page in PAGES:
        parts = [block.code for block in blocks_of(page) if block.language == "yaml"]
        if parts:
            yield pytest.param(parts, id=name_of(page))


@pytest.mark.parametrize("parts", list(recipes()))
def test_the_parts_of_a_recipe_make_one(parts: list[str]) -> None:
    yaml = pytest.importorskip("yaml")
    from genprm_sdk.training.pipeline import PipelineRecipe

    recipe = {
        "name": "parts",
        "problems": {"worlds": {"arithmetic": 1}},
        "policy": {"model": "policy-mini"},
        "teacher": {"model": "genprm-mini"},
    }
    for part in parts:
        recipe |= yaml.safe_load(part)
        if "base" in recipe:
            PipelineRecipe.model_validate(recipe)
    PipelineRecipe.model_validate(recipe)


@pages
def test_links_lead_somewhere_in_the_tree(page: Path) -> None:
    for link in links_of(page):
        if not link.startswith(("https://", "#")):
            target = (page.parent / link.partition("#")[0]).resolve()
            assert target.is_relative_to(ROOT), link
            assert target.exists(), link
            if page.parent.name == "docs":
                assert target.parent in (page.parent, page.parent / "images"), f"{link} is not on the site"


@pages
def test_files_that_are_named_are_there(page: Path) -> None:
    for span in spans_of(page):
        if A_PATH.fullmatch(span):
            assert list(ROOT.glob(span.rstrip("/"))), span


@pages
def test_extras_that_are_named_are_there(page: Path) -> None:
    known = importlib.metadata.metadata("genprm-sdk").get_all("Provides-Extra", [])
    for named in EXTRAS.findall(page.read_text(encoding="utf-8")):
        assert set(named.split(",")) <= set(known), named


def test_the_citation_is_of_this_version() -> None:
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    metadata = importlib.metadata.metadata("genprm-sdk")
    assert (cited["version"], cited["license"]) == (metadata["Version"], metadata["License-Expression"])
