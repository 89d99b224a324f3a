"""Groups of options: a parameter that is a dataclass stands for its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from genprm_sdk.cli.options import grouped

Name = Annotated[str, typer.Option("--name", help="Whose.")]


@dataclass(frozen=True)
class Group:
    name: Name = "nobody"
    often: Annotated[int, typer.Option("--often", min=1)] = 1


def test_a_group_is_made_of_its_options() -> None:
    app = typer.Typer(add_completion=False)
    heard: list[tuple[str, bool, Group]] = []

    @app.command()
    @grouped
    def greet(word: str, loud: bool = False, *, group: Group) -> int:
        """Say a word."""
        heard.append((word, loud, group))
        return 3

    command = typer.main.get_command(app)
    arguments = ["hello", "--often", "2", "--loud"]
    assert command.main(args=arguments, prog_name="x", standalone_mode=False) == 3
    command.main(args=["hello", "--name", "you"], prog_name="x", standalone_mode=False)
    assert heard == [("hello", True, Group("nobody", 2)), ("hello", False, Group("you"))]
    assert command.help == "Say a word."
