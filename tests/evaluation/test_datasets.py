"""Benchmark records: what they mean, and what is said of those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genprm_sdk.errors import InputError
from genprm_sdk.evaluation.datasets import UNCLASSIFIED, Benchmark, Item, Unreadable, load

PB = {
    "id": "gsm8k-1",
    "generator": "g",
    "problem": "P",
    "steps": ["a", "b"],
    "label": 1,
    "final_answer_correct": False,
}
BBM = {"input": "I", "steps": ["a", "b"], "target": "1", "answer": "1", "mistake_index": None}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def test_both_formats(tmp_path: Path) -> None:
    path = write(tmp_path / "gsm8k.jsonl", PB)
    (item,) = load("processbench", path)
    assert load("processbench", str(path)) == [item]
    assert isinstance(item, Item)
    assert (item.key, item.subset, item.expected) == ("gsm8k/gsm8k-1", "gsm8k", 1)
    assert (item.solution.problem, item.solution.steps, item.solution.id) == ("P", ("a", "b"), "gsm8k-1")
    (right,) = load("processbench", write(tmp_path / "x.jsonl", PB | {"label": -1}))
    assert isinstance(right, Item)
    assert right.expected is None
    (item,) = load("bigbench-mistake", write(tmp_path / "task.jsonl", BBM))
    assert isinstance(item, Item)
    assert (item.key, item.expected, item.solution.problem) == ("task/record-1", None, "I")


def test_repeated_ids_stay_apart(tmp_path: Path) -> None:
    items = load("processbench", write(tmp_path / "f.jsonl", PB, PB, PB | {"id": 5}))
    assert [item.key for item in items] == ["f/gsm8k-1", "f/gsm8k-1#2", "f/5"]


@pytest.mark.parametrize(
    ("benchmark", "change", "part"),
    [
        ("processbench", {"label": 2}, "step 2 is wrong, but the last step is 1"),
        ("processbench", {"label": -2}, "label"),
        ("processbench", {"label": None}, "label"),
        ("processbench", {"label": True}, "label"),
        ("processbench", {"problem": 3}, "problem"),
        ("processbench", {"problem": "  "}, "problem is blank"),
        ("processbench", {"steps": []}, "at least one"),
        ("processbench", {"steps": "a"}, "steps"),
        ("processbench", {"steps": ["a", ""]}, "step 1 is blank"),
        ("bigbench-mistake", {"mistake_index": -1}, "mistake_index"),
        ("bigbench-mistake", {"mistake_index": "1"}, "mistake_index"),
        ("bigbench-mistake", {"input": None}, "input"),
    ],
)
def test_a_bad_record_says_where_and_what(
    benchmark: Benchmark, change: dict[str, object], part: str, tmp_path: Path
) -> None:
    good: dict[str, object] = dict(PB if benchmark == "processbench" else BBM)
    file = write(tmp_path / "f.jsonl", good, good | change)
    first, second = load(benchmark, file)
    assert isinstance(first, Item)
    assert isinstance(second, Unreadable)
    assert second.place == f"{file}:2"
    assert part in second.reason


def test_a_missing_label_is_no_label_of_none(tmp_path: Path) -> None:
    without = {key: value for key, value in BBM.items() if key != "mistake_index"}
    _, second = load("bigbench-mistake", write(tmp_path / "f.jsonl", BBM, without))
    assert isinstance(second, Unreadable)


def test_ids_that_look_like_the_names_of_others_stay_apart(tmp_path: Path) -> None:
    ids = ["a#2", "a", "a", "record-6", "a#3"]
    file = write(tmp_path / "s.jsonl", *[PB | {"id": each} for each in ids], "{torn", PB | {"id": None})
    keys = [item.key for item in load("processbench", file)]
    assert keys == ["s/a#2", "s/a", "s/a#3", "s/record-6", "s/a#3#2", "s/record-6#2", "s/record-7"]


def test_a_folder_is_its_files_and_limit_is_for_each(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", PB, PB)
    write(tmp_path / "a.jsonl", PB, "{torn", PB)
    (tmp_path / "README.md").write_text("not data")
    items = load("processbench", tmp_path, limit=2)
    assert [item.key for item in items] == ["a/gsm8k-1", "a/record-2", "b/gsm8k-1", "b/gsm8k-1#2"]


def test_the_wrong_benchmark_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="'nonsense' is no benchmark: give one of bigbench-mistake, labelled"
    ):
        load("nonsense", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"no usable bigbench-mistake record; .*f\.jsonl:1: input"):
        load("bigbench-mistake", write(tmp_path / "f.jsonl", PB))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"holds no \.jsonl file"):
        load("processbench", empty)
    with pytest.raises(InputError, match="no such file"):
        load("processbench", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("benchmark", "folder", "count"),
    [
        ("processbench", "processbench", 200),
        ("bigbench-mistake", "bigbench_mistake", 360),
        ("prmbench", "prmbench", 20),
    ],
)
def test_the_development_data_is_read_whole(benchmark: Benchmark, folder: str, count: int) -> None:
    data = Path(__file__).parents[2].parent / "shared" / "data" / folder
    if not data.is_dir():
        pytest.skip(f"{data} is not on this machine")
    items = load(benchmark, data)
    assert len(items) == count
    assert all(isinstance(item, Item) for item in items)
    if benchmark == "processbench":
        assert sum(isinstance(item, Item) and item.expected is not None for item in items) == 120


PRM = {
    "idx": "p1",
    "original_question": "O",
    "modified_question": "Q",
    "original_process": ["a"],
    "modified_process": ["a", "b", "c"],
    "modified_steps": [2, 3],
    "error_steps": [3, 2],
    "classification": "circular",
}
OWN = {"id": "o", "problem": "P", "steps": ["a", "b", "c"]}


def test_prmbench_records(tmp_path: Path) -> None:
    other = PRM | {"classification": "multi_solutions", "error_steps": []}
    first, right = load("prmbench", write(tmp_path / "any.jsonl", PRM, other))
    assert isinstance(first, Item)
    assert (first.key, first.subset, first.expected) == ("circular/p1", "circular", 1)
    assert (first.solution.problem, first.solution.steps) == ("Q", ("a", "b", "c"))
    assert first.labels == (True, False, False)
    assert isinstance(right, Item)
    assert (right.subset, right.expected, right.labels) == ("multi_solutions", None, (True, True, True))


def test_one_classification_in_two_files_keeps_its_keys_apart(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", PRM)
    write(tmp_path / "b.jsonl", PRM)
    assert [item.key for item in load("prmbench", tmp_path)] == ["circular/p1", "circular/p1#2"]


def test_an_unusable_record_stays_in_its_classification(tmp_path: Path) -> None:
    short = PRM | {"modified_process": ["a"]}
    unnamed = {key: value for key, value in PRM.items() if key != "classification"}
    items = load(
        "prmbench", write(tmp_path / "any.jsonl", PRM, short, unnamed, PRM | {"classification": 3}, "{")
    )
    assert [(item.key, item.subset) for item in items] == [
        ("circular/p1", "circular"),
        ("circular/record-2", "circular"),
        *[(f"{UNCLASSIFIED}/record-{number}", UNCLASSIFIED) for number in (3, 4, 5)],
    ]


def test_labelled_records(tmp_path: Path) -> None:
    records = [
        OWN | {"first_error": 1},
        OWN | {"first_error": None},
        OWN | {"labels": [True, False, True]},
        {"steps": ["a"], "labels": [True], "first_error": None},
    ]
    items = load("labelled", write(tmp_path / "f.jsonl", *records))
    assert all(isinstance(item, Item) for item in items)
    found = [(item.expected, item.labels) for item in items if isinstance(item, Item)]
    assert found == [(1, None), (None, None), (1, (True, False, True)), (None, (True,))]
    last = items[-1]
    assert isinstance(last, Item)
    assert last.solution.problem is None


@pytest.mark.parametrize(
    ("benchmark", "change", "part"),
    [
        ("prmbench", {"error_steps": [4]}, "step 4 is wrong, but there are 3"),
        ("prmbench", {"error_steps": [0]}, "error_steps"),
        ("prmbench", {"error_steps": None}, "error_steps"),
        ("prmbench", {"modified_process": None}, "modified_process"),
        ("prmbench", {"classification": ""}, "classification"),
        ("labelled", {"first_error": 3}, "step 3 is wrong, but the last step is 2"),
        ("labelled", {"labels": [True]}, "1 labels for 3 steps"),
        ("labelled", {"labels": [True, 0, True]}, "labels"),
        ("labelled", {"labels": [True, False, True], "first_error": 2}, "by the labels it is 1"),
        ("labelled", {}, 'give "first_error"'),
    ],
)
def test_a_bad_record_of_the_newer_formats(
    benchmark: Benchmark, change: dict[str, object], part: str, tmp_path: Path
) -> None:
    good = PRM if benchmark == "prmbench" else OWN | {"first_error": None}
    bad = (PRM if benchmark == "prmbench" else OWN) | change
    _, second = load(benchmark, write(tmp_path / "f.jsonl", good, bad))
    assert isinstance(second, Unreadable)
    assert part in second.reason
