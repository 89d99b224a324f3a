"""Commands, options and exit codes; what a command does is in its own file.

Exit codes: 0 all is well, 1 something of ours failed, 2 the input or the options are unusable (other records
were still checked), 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import GenPRMError, InputError
from ..modes import History, Reasoning
from ..options import Cascade, CheckOptions
from ..sandbox import Isolation
from . import opening
from .agent_kinds import AgentKind
from .agent_options import AgentOptions, JudgedOptions, PolicyName, ResultOptions
from .codes import CLOSED_PIPE, FAILED, INTERRUPTED, UNUSABLE, exit_code
from .options import (
    Exact,
    File,
    IsolationOption,
    Limit,
    Model,
    Samples,
    Seed,
    Threads,
    adaptive_option,
    budget_option,
    folder_name,
    grouped,
)
from .terminal import OutputLost, ReaderLeft, complain, to_stdout

__all__ = ["app", "main"]

if TYPE_CHECKING:
    from ..evaluation.datasets import Benchmark

app = typer.Typer(
    name="genprm",
    help="Verify reasoning step by step with a generative process reward model.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
evaluations = typer.Typer(
    help="Run a benchmark and print its own metric, or hold two runs against each other.",
    rich_markup_mode=None,
)
app.add_typer(evaluations, name="eval")
models = typer.Typer(help="Which models there are, and which are on this machine.", rich_markup_mode=None)
app.add_typer(models, name="models")
train = typer.Typer(
    help="Train a verifier: from problems to filtered data, and on to its files.", rich_markup_mode=None
)
app.add_typer(train, name="train")

ReasoningOption = Annotated[
    Reasoning | None,
    typer.Option(
        "--reasoning",
        help="What is written before a verdict.",
        show_default="what the model was trained for",
    ),
]
HistoryOption = Annotated[
    History | None,
    typer.Option("--history", help="What a path sees of earlier steps; by default what the model wants."),
]
AdaptiveOption = Annotated[
    str,
    typer.Option(
        "--adaptive",
        metavar="auto|off|exact|BOUND",
        help="Leave out paths that cannot change a label, or only with a probability of at most BOUND.",
    ),
]
FirstError = Annotated[
    bool, typer.Option("--stop-at-first-error", help="Leave the steps behind the first wrong one unchecked.")
]
ModelName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A name that `genprm models` lists, a path, or owner/repo of a hub."),
]
Data = Annotated[Path, typer.Option("--data", help="A .jsonl file, or a folder of them: one subset each.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", parser=folder_name, metavar="PATH", help="Folder for results; a stopped run goes on."
    ),
]


def opener(
    model: str,
    threads: int | None,
    reasoning: Reasoning | None,
    history: History | None,
    isolation: Isolation | None,
    exact: bool,
) -> opening.OpenChecker:
    bring(model)
    return lambda: opening.open_verifier(model, threads, reasoning, history, isolation, exact)


def bring(*models: str | None) -> None:
    """Download those that are not on this machine, before anything else."""
    from .models import bring_model

    if any(name is not None and name.startswith(("http://", "https://")) for name in models):
        keep_retries_quiet()
    for name in models:
        if name is not None:
            bring_model(name)


def keep_retries_quiet() -> None:
    """Have retried requests told by their outcome alone; the default is a log line each, on stderr.

    Here, because it holds for the whole process, which is a command's own but not a library's.
    """
    from stamina.instrumentation import set_on_retry_hooks

    set_on_retry_hooks(())


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"genprm {version('genprm-sdk')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@evaluations.callback(invoke_without_command=True)
def evaluations_root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def check(
    file: File,
    model: Model = opening.DEFAULT_MODEL,
    samples: Samples = 1,
    seed: Seed = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a solution on stdout.")] = False,
    limit: Limit = None,
    reasoning: ReasoningOption = None,
    history: HistoryOption = None,
    adaptive: AdaptiveOption = "auto",
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Verdicts alone, then analyses, then code, where still unsure.")
    ] = False,
    stop_at_first_error: FirstError = False,
    max_samples: Annotated[
        int | None, typer.Option("--max-samples", min=1, help="Verifications of a solution, at most.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Written tokens of a solution, at most.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Seconds of a solution, at most.")
    ] = None,
    diagnose: Annotated[
        bool, typer.Option("--diagnose", help="Count failed code, unread verdicts and votes that agree.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            parser=folder_name,
            metavar="PATH",
            help="Folder for one self-contained page a solution.",
        ),
    ] = None,
    isolation: IsolationOption = None,
    threads: Threads = None,
    exact: Exact = False,
) -> int:
    """Check solutions step by step.

    A record is {"problem": ..., "steps": [...]}; "input" and "question" do for "problem", steps may be one
    text with blank lines between them, and an "id" is passed through.
    """
    from .check import CheckRequest, check_file

    if cascade and reasoning is not None:
        raise InputError("give --reasoning or --cascade, not both")
    options = CheckOptions(
        samples=samples,
        seed=seed,
        adaptive=adaptive_option(adaptive),
        stop_at_first_error=stop_at_first_error,
        budget=budget_option(max_samples, max_tokens, max_seconds),
    )
    if cascade:
        options["cascade"] = Cascade()
    request = CheckRequest(options, as_json=json, limit=limit, diagnose=diagnose, html=html)
    return check_file(file, request, opener(model, threads, reasoning, history, isolation, exact))


@app.command()
@grouped
def refine(
    file: File,
    policy: PolicyName = opening.DEFAULT_POLICY,
    *,
    options: AgentOptions,
    results: ResultOptions,
) -> int:
    """Have a policy repair solutions until the verifier finds no mistake in them.

    A record is {"problem": ..., "steps": [...]}; one without steps is solved first. An "answer" is only
    compared with the result, an "id" is passed through.
    """
    from .refine import AgentRequest, solve_file

    options.check(policy)
    bring(policy, options.model)
    return solve_file(file, AgentRequest(options, results, policy=policy, given=True))


@app.command()
@grouped
def solve(
    file: File,
    agent: Annotated[AgentKind, typer.Option("--agent", help="How it is solved.")] = AgentKind.REFINE,
    policy: PolicyName = opening.DEFAULT_POLICY,
    n: Annotated[
        int,
        typer.Option("--n", "-n", min=1, help="Attempts at a problem; candidates of each step of a search."),
    ] = 4,
    width: Annotated[int, typer.Option("--width", min=1, help="Beginnings that a search keeps.")] = 2,
    diverse: Annotated[bool, typer.Option("--diverse", help="Search from each of them on its own.")] = False,
    vote: Annotated[
        bool, typer.Option("--vote", help="Of best-of-n: the answer with the largest sum of scores.")
    ] = False,
    *,
    options: AgentOptions,
    results: ResultOptions,
) -> int:
    """Have a policy solve problems, with the verifier's help or, for comparison, without.

    A record is {"problem": ...}; an "answer" is only compared with the result, an "id" is passed through.
    """
    from .refine import AgentRequest, solve_file

    options.check(policy)
    alone = agent in (AgentKind.SELF_CONSISTENCY, AgentKind.SELF_REFINE)
    request = AgentRequest(
        options, results, policy=policy, agent=agent, n=n, width=width, diverse=diverse, vote=vote
    )
    request.check()
    bring(policy, None if alone else options.model)
    return solve_file(file, request)


@app.command()
@grouped
def mcp(
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            help="Who repairs: a model as --model takes it, or the address of a chat API (http://…/v1). "
            "Without one, solutions are only verified.",
        ),
    ] = None,
    *,
    options: AgentOptions,
) -> int:
    """Serve the verifier's tools to a client of the Model Context Protocol, on stdin and stdout.

    The tools are verify_steps and, with a policy, refine_solution. Models are loaded by the first call that
    needs them. What may be spent on a problem may be spent on a call; a call says itself how many samples and
    turns it wants, and has these options' otherwise.
    """
    from .mcp import serve_tools

    options.check(policy)
    bring(policy, options.model)
    return serve_tools(options, policy)


@app.command()
def demo(threads: Threads = None) -> int:
    """Check short solutions from four domains with the bundled model."""
    from .demo import run_demo

    return run_demo(lambda: opening.open_verifier(opening.DEFAULT_MODEL, threads))


@app.command()
def doctor() -> int:
    """Show what works here, and what to install for the rest."""
    from .doctor import run_doctor

    return run_doctor()


@models.callback(invoke_without_command=True)
def models_root(context: typer.Context) -> int:
    if context.invoked_subcommand is not None:
        return 0
    from .models import list_models

    return list_models()


@models.command("list")
def models_list() -> int:
    """List the bundled models, the known ones, and what has been downloaded."""
    from .models import list_models

    return list_models()


@models.command("pull")
def models_pull(
    name: ModelName,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only look whether it is here; ask no network.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a download.")] = False,
) -> int:
    """Download a model and print where it lies; an interrupted download goes on where it was."""
    from .models import pull_model

    return pull_model(name, offline=offline, yes=yes)


@models.command("show")
def models_show(
    name: ModelName,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", min=1, help="Verification paths that memory is reckoned for; 8 by default."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Print what a model is, and what memory it needs, without loading it.

    Of a bundled model that is its card, which says how it was trained and what was measured; with --samples
    the memory follows.
    """
    from .models import show_model

    return show_model(name, samples=samples, as_json=json)


@models.command("remove")
def models_remove(name: ModelName) -> int:
    """Delete a downloaded model."""
    from .models import remove_model

    return remove_model(name)


def add_evaluation(benchmark: Benchmark, about: str) -> None:
    """Add ``genprm eval BENCHMARK``; all benchmarks take the same options."""

    @evaluations.command(benchmark, help=about)
    def evaluation(
        data: Data,
        model: Model = opening.DEFAULT_MODEL,
        samples: Samples = 1,
        seed: Seed = 0,
        limit: Limit = None,
        out: Out = None,
        reasoning: ReasoningOption = None,
        history: HistoryOption = None,
        adaptive: AdaptiveOption = "auto",
        stop_at_first_error: FirstError = False,
        isolation: IsolationOption = None,
        threads: Threads = None,
        exact: Exact = False,
    ) -> int:
        from .evaluate import EvalOptions, evaluate

        adaptive_option(adaptive)
        options = EvalOptions(
            benchmark=benchmark,
            data=data,
            model=model,
            samples=samples,
            seed=seed,
            limit=limit,
            out=out,
            reasoning=reasoning,
            history=history,
            adaptive=adaptive,
            stop_at_first_error=stop_at_first_error,
            exact=exact,
        )
        return evaluate(options, opener(model, threads, reasoning, history, isolation, exact))


Problems = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="A .jsonl file of problems with answers, or a folder of them."),
]


@evaluations.command("best-of-n")
@grouped
def evaluate_best_of_n(
    data: Problems,
    policy: PolicyName = opening.DEFAULT_POLICY,
    n: Annotated[
        str,
        typer.Option("--n", "-n", metavar="N,N,…", help="Numbers of attempts; the most are drawn, once."),
    ] = "1,2,4,8",
    seed: Seed = 0,
    limit: Limit = None,
    out: Out = None,
    *,
    options: JudgedOptions,
) -> int:
    """Best-of-N by the verifier beside a majority's vote and pass@N, on problems with answers.

    A record is {"problem": ..., "answer": ...}; an "id" names it.
    """
    from .evaluate_agents import AgentEvaluation, evaluate_agent, read_counts

    asked = AgentOptions(**vars(options))
    asked.check(policy)
    counts = read_counts(n)
    bring(policy, asked.model)
    return evaluate_agent(AgentEvaluation(data, policy, asked, counts, seed, limit, out))


@evaluations.command("refine")
@grouped
def evaluate_refinement(
    data: Problems,
    policy: PolicyName = opening.DEFAULT_POLICY,
    seed: Seed = 0,
    limit: Limit = None,
    out: Out = None,
    *,
    options: AgentOptions,
) -> int:
    """Accuracy after each turn of critic refinement, on problems with answers.

    A record is {"problem": ..., "answer": ...}; an "id" names it.
    """
    from .evaluate_agents import AgentEvaluation, evaluate_agent

    options.check(policy)
    bring(policy, options.model)
    return evaluate_agent(AgentEvaluation(data, policy, options, None, seed, limit, out))


FinishedEvaluation = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that --out has made.")]


@evaluations.command("compare")
def compare_evaluations(
    first: FinishedEvaluation,
    second: FinishedEvaluation,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    seed: Seed = 0,
) -> int:
    """Hold the second run against the first, on the records that both have."""
    from .evaluate_compare import compare_runs

    return compare_runs(first, second, as_json=json, seed=seed)


RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe's file, or `tiny`, which comes with this.")
]
RunFolder = Annotated[Path, typer.Option("--out", help="Folder for the records; a stopped run goes on.")]
FinishedRun = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")]
RECORDS = "problems, rollouts, monte-carlo, rationales, label, consensus or dataset"
Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=1, help="Processes that make rollouts, scores and rationales, by Ray; 1 is this one."
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="The Ray cluster of this machine, auto or HOST:PORT; by default one is started and ended here.",
    ),
]


@train.callback(invoke_without_command=True)
def train_root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@train.command("run")
def train_run(
    recipe: RecipeName,
    out: RunFolder,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="STAGE", help=f"The last stage: {RECORDS}, or sft, rl or export."),
    ] = None,
    workers: Workers = 1,
    ray: RayAddress = None,
) -> int:
    """Run all stages of a recipe, or go on with them."""
    from .train import run_until

    return run_until(recipe, out, until, workers, ray)


@train.command("status")
def train_status(folder: FinishedRun) -> int:
    """Show where a run is, also while it is going on."""
    from .train import show_status

    return show_status(folder)


@train.command("export")
def train_export(
    folder: FinishedRun,
    to: Annotated[Path, typer.Option("--to", help="A .jsonl file, or for the dataset a .parquet file.")],
    stage: Annotated[
        str,
        typer.Option(
            "--stage",
            metavar="STAGE",
            help=f"Whose records: {RECORDS}; or dropped, those of all stages that go no further.",
        ),
    ] = "dataset",
) -> int:
    """Write what a run has made to a file."""
    from ..training.pipeline.stages import stage_named
    from .train import export_records

    return export_records(folder, to, stage_named(stage))


def add_stage(name: str, about: str) -> None:
    """Add ``genprm train STAGE``."""

    @train.command(name, help=about)
    def stage(recipe: RecipeName, out: RunFolder) -> int:
        from .train import run_stage

        return run_stage(recipe, out, name)


def add_spreadable_stage(name: str, about: str) -> None:
    """Add ``genprm train STAGE`` for a stage that many workers can share."""

    @train.command(name, help=about)
    def stage(recipe: RecipeName, out: RunFolder, workers: Workers = 1, ray: RayAddress = None) -> int:
        from .train import run_stage

        return run_stage(recipe, out, name, workers, ray)


add_stage("problems", "Collect problems: from worlds, or from a file with answers.")
add_spreadable_stage("rollouts", "Draw solutions of each problem until there are right and wrong ones.")
add_spreadable_stage("monte-carlo", "Complete every prefix of them: how often is the answer still reached?")
add_spreadable_stage("rationales", "Let a teacher verify each step, with code that is executed.")
add_stage("label", "Label each step by its scores.")
add_stage("consensus", "Keep the solutions on which labels and teacher agree.")
add_stage("dataset", "Write them as conversations in the protocol.")
add_stage("sft", "Fine-tune a verifier on them.")
add_stage("rl", "Train it on its own verdicts.")
add_evaluation("bigbench-mistake", "BIG-Bench-Mistake: exact match of the first mistake (arXiv 2311.08516).")
add_evaluation(
    "labelled", "A labelled file of your own: accuracy of steps, and of finding the first wrong one."
)
add_evaluation("prmbench", "PRMBench: F1 of right and of wrong steps, by kind of error (arXiv 2501.03124).")
add_evaluation("processbench", "ProcessBench: F1 of finding the first wrong step (QwenLM/ProcessBench).")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and raises nothing that a user could cause."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(list(sys.argv[1:] if arguments is None else arguments))
    except (BrokenPipeError, ReaderLeft):
        discard_output()
        return CLOSED_PIPE
    except OutputLost as error:
        discard_output()
        complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def run(arguments: list[str]) -> int:
    root_command = typer.main.get_command(app)
    try:
        result = root_command.main(args=arguments, prog_name="genprm", standalone_mode=False)
        with to_stdout():
            sys.stdout.flush()
    except (OutputLost, ReaderLeft):
        raise
    except typer.Abort:
        return INTERRUPTED
    except GenPRMError as error:
        complain(str(error))
        return exit_code(error)
    except Exception as error:
        # The base of typer's usage errors has moved between its versions; what it offers has not.
        message, code = getattr(error, "format_message", None), getattr(error, "exit_code", FAILED)
        if message is None and isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise OutputLost(f"cannot write: {error.strerror}") from None
        if message is None:
            raise
        context = getattr(error, "ctx", None)
        command = "genprm" if context is None else context.command_path
        complain(f"{message()} (see `{command} --help`)")
        return UNUSABLE if code == UNUSABLE else FAILED
    return result if isinstance(result, int) else 0


def discard_output() -> None:
    """Let the interpreter's last flush go nowhere, so that it does not complain about the closed pipe."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        return
    finally:
        os.close(null)
