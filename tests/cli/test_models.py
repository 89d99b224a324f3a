"""``genprm models``: list, pull, show, remove, against a hub on loopback and a cache of the test's own."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genprm_sdk.cli import main
from genprm_sdk.models import bundled_model

from ..backends.bundled import MODEL
from ..models.hub_server import HubServer

MINI = MODEL.read_bytes()
REPO = "mradermacher/GenPRM-7B-GGUF"
GGUF = "GenPRM-7B.Q4_K_M.gguf"
NAME = "genprm-7b:Q4_K_M"
Output = pytest.CaptureFixture[str]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A hub that has what a known name stands for, and that the commands of this test ask."""
    with HubServer() as server:
        server.repos[REPO] = {GGUF: MINI}
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.endpoint)
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


def words(output: Output) -> str:
    return " ".join(output.readouterr().out.split())


def test_from_nothing_to_a_model_and_back(hub: HubServer, capsys: Output) -> None:
    assert main(["models"]) == 0
    assert "genprm-7b │ about 4.7 GB │ about 15.2 GB │ no │" in words(capsys)
    assert main(["models", "show", NAME]) == 2
    assert f"is not on this machine: run `genprm models pull {NAME}`" in capsys.readouterr().err
    assert main(["models", "pull", NAME, "--offline"]) == 2
    assert "downloads are switched off" in capsys.readouterr().err

    assert main(["models", "pull", NAME]) == 0
    printed, said = capsys.readouterr()
    path = Path(printed.strip())
    assert path.read_bytes() == MINI
    assert f"{REPO}:Q4_K_M: 2.6 MB in one file; " in said
    assert "its weights take 2.6 MB of memory, and " in said
    assert main(["models", "pull", NAME, "--offline"]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    assert main(["models", "pull", NAME]) == 0
    assert "2.6 MB of them here already" in capsys.readouterr().err
    assert len(hub.downloads()) == 1

    assert main(["models", "list"]) == 0
    listed = words(capsys)
    assert "about 15.2 GB │ Q4_K_M │" in listed
    assert f"{REPO} │ 2.6 MB │ Q4_K_M │" in listed
    assert main(["models", "show", NAME, "--samples", "3"]) == 0
    shown = words(capsys)
    assert "architecture qwen2, 2,411,712 parameters" in shown
    assert "weights Q8_0, 2.6 MB" in shown
    assert "chat template {% for message in messages %}" in shown
    assert "3 x 8,192 tokens of 1,536 bytes" in shown
    assert "fits here yes" in shown

    assert main(["models", "remove", NAME]) == 0
    assert f"removed {REPO}:Q4_K_M: {len(MINI):,} bytes are free again" in capsys.readouterr().err
    assert not path.exists()
    assert main(["models", "remove", NAME]) == 2
    assert f"{REPO}:Q4_K_M is not in" in capsys.readouterr().err


def test_facts_for_machines(capsys: Output) -> None:
    assert main(["models", "show", "genprm-mini", "--json", "--samples", "2"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(MODEL)
    assert (facts["architecture"], facts["context"], facts["quantisation"]) == ("qwen2", 8192, "Q8_0")
    assert facts["memory"] == {
        "samples": 2,
        "context": 8192,
        "weights": len(MINI),
        "token": 1536,
        "cache": 2 * 8192 * 1536,
        "total": len(MINI) + 2 * 8192 * 1536,
    }
    assert facts["fits"] is True


def test_a_card_is_followed_by_the_memory_only_if_asked_for(capsys: Output) -> None:
    card = bundled_model("genprm-mini").card.read_text(encoding="utf-8")
    assert main(["models", "show", "genprm-mini", "--samples", "1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(card)
    assert "1 x 8,192 tokens of 1,536 bytes" in " ".join(shown.removeprefix(card).split())


def test_a_model_too_large_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, hub: HubServer, capsys: Output
) -> None:
    monkeypatch.setattr("genprm_sdk.engine.fit.available_bytes", lambda: 1_000_000)
    assert main(["models", "pull", NAME, "--yes"]) == 0
    assert "1.0 MB are free: too little for the model to run here without a GPU" in capsys.readouterr().err
    assert main(["models", "show", NAME]) == 0
    assert "fits here no: 1.0 MB are free" in words(capsys)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "http://somewhere:80"], "is a server"),
        (["show", "nothing at all"], "unknown model 'nothing at all'"),
        (["pull", "http://somewhere:80"], "is on no hub"),
        (["pull", "genprm-8b"], "did you mean genprm-7b"),
        (["pull", "org/none"], "no repository org/none"),
        (["pull", f"hf:{REPO}:Q8_0"], "there are Q4_K_M"),
        (["remove", "genprm-mini"], "was not downloaded"),
        (["remove", str(MODEL)], "was not downloaded"),
        (["remove", "org/none"], "is not in"),
        (["show", "genprm-mini", "--samples", "0"], "--samples"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    arguments: list[str], complaint: str, hub: HubServer, capsys: Output
) -> None:
    assert main(["models", *arguments]) == 2
    printed, said = capsys.readouterr()
    assert printed == ""
    assert complaint in said
    assert len(said.splitlines()) == 1


def test_a_bundled_model_needs_no_pull(capsys: Output) -> None:
    assert main(["models", "pull", "genprm-mini"]) == 0
    assert capsys.readouterr().out.strip() == str(MODEL)


def test_importing_the_models_asks_for_nothing_heavy() -> None:
    code = (
        "import sys, genprm_sdk, genprm_sdk.models, genprm_sdk.cli.models\n"
        "heavy = {'huggingface_hub', 'httpx2', 'torch', 'numpy', 'llama_cpp'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def command(hub: HubServer, cache: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_CACHE": str(cache),
        "PYTHONWARNINGS": "error",
        "TERM": "xterm-256color",
    }
    code = "import sys; from genprm_sdk.cli import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, "models", *arguments], environment


def test_an_interrupted_pull_goes_on_when_it_is_repeated(hub: HubServer, tmp_path: Path) -> None:
    hub.gate.clear()
    arguments, environment = command(hub, tmp_path / "cache", "pull", NAME)
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (hub.downloads() and hub.downloads()[0].sent >= 1_500_000):
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=20)
    assert (process.returncode, printed) == (130, "")
    assert said.splitlines()[-1] == "interrupted: what came is kept, and the same command goes on from there"
    assert "Traceback" not in said
    hub.gate.set()
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == MINI
    again = hub.downloads()[-1]
    assert again.range is not None
    assert again.sent + int(again.range.removeprefix("bytes=").rstrip("-")) == len(MINI)
    assert again.sent < 1_700_000


@pytest.mark.parametrize(("answer", "downloads"), [("n", 0), ("y", 1)])
def test_a_terminal_is_asked_before_a_download(
    answer: str, downloads: int, hub: HubServer, tmp_path: Path
) -> None:
    arguments, environment = command(hub, tmp_path / "cache", "pull", NAME)
    master, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            arguments, env=environment, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, text=True
        ) as process:
            os.close(terminal)
            seen = b""
            while b"Download it?" not in seen and select.select([master], [], [], 30)[0]:
                seen += os.read(master, 65536)
            assert b"2.6 MB in one file" in seen
            os.write(master, f"{answer}\n".encode())
            printed, _ = process.communicate(timeout=30)
    finally:
        os.close(master)
    assert process.returncode == 0
    assert len(hub.downloads()) == downloads
    assert printed.count("\n") == downloads
    assert (printed == "") is (downloads == 0)
