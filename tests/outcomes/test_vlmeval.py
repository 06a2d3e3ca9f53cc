"""Scored tables of VLMEvalKit, and the workbooks that they lie in."""

from pathlib import Path
from typing import Any

import log_fixtures as logs
import pytest
from importing import cells, column, imported, refused

from earmark.engine.errors import InputError
from earmark.engine.outcomes.imports import xlsx

Rows = list[dict[str, Any]]


def arms(folder: Path, end: str = ".xlsx", raw: Rows | None = None, compressed: Rows | None = None) -> list[object]:
    paths = [
        logs.write_vlmeval(folder / name, rows or logs.vlmeval(answers), end)
        for name, rows, answers in (("raw", raw, logs.RAW), ("c40", compressed, logs.COMPRESSED))
    ]
    return ["vlmeval", paths[0], f"energy@0.4={paths[1]}", "--out", folder / "run"]


@pytest.mark.parametrize("end", [".xlsx", ".tsv", ".json"])
def test_rows_of_a_scored_table(tmp_path: Path, end: str) -> None:
    done = imported(*arms(tmp_path, end))
    assert "answerer=qwen/corpus=MMAU/method=energy" in done.output
    rows = cells(tmp_path / "run")["energy@0.4@0"]
    assert column(rows, "sample_id") == [str(i) for i in range(6)]
    assert column(rows, "query_family") == list(logs.FAMILIES)
    assert column(rows, "loss") == [0, 0, 1, 1, 0, 1]
    assert column(rows, "n_options") == [3] * 6
    assert column(rows, "correct_label") == list("ABCABC")
    assert column(rows, "predicted_label") == ["A. dog", "B. cat", "B. cat", "C. bell", "B. cat", None]


def test_a_prediction_that_the_judge_drew_at_random_is_no_answer(tmp_path: Path) -> None:
    drawn = [row | {"hit": 1} if "randomly" in row["log"] else row for row in logs.vlmeval(logs.RAW)]
    done = imported(*arms(tmp_path, raw=drawn))
    assert column(cells(tmp_path / "run")["uncompressed@1@0"], "loss")[-1] == 1
    assert "1 without an answer" in done.output


def test_a_prediction_that_the_model_did_not_give_is_an_error(tmp_path: Path) -> None:
    rows = logs.vlmeval(logs.COMPRESSED)
    rows[2] |= {"prediction": "Failed to obtain answer via API.\nTimeout", "hit": 0}
    done = imported(*arms(tmp_path, compressed=rows))
    assert column(cells(tmp_path / "run")["energy@0.4@0"], "status")[2] == "error: Failed to obtain answer via API."
    assert "1 errors" in done.output


def test_other_columns_are_the_family(tmp_path: Path) -> None:
    imported(*arms(tmp_path), "--family", "l2-category")
    assert set(column(cells(tmp_path / "run")["energy@0.4@0"], "query_family")) == {"hearing"}


def test_without_categories_a_family_is_asked_for(tmp_path: Path) -> None:
    bare = [{key: row[key] for key in row if key != "category"} for row in logs.vlmeval(logs.RAW)]
    both = arms(tmp_path, raw=bare, compressed=bare)
    assert "which field is the family of a question? (short texts are " in refused(*both)
    imported(*both, "--family", "none")
    assert set(column(cells(tmp_path / "run")["energy@0.4@0"], "query_family")) == {"MMAU"}


def test_several_data_sets_are_several_tasks(tmp_path: Path) -> None:
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        for dataset in ("MMAU", "MMSU"):
            logs.write_vlmeval(tmp_path / name, logs.vlmeval(answers), dataset=dataset)
    rest = ("--out", tmp_path / "run", "--corpus", "both")
    imported("vlmeval", tmp_path / "raw", f"energy@0.4={tmp_path / 'c40'}", *rest)
    rows = cells(tmp_path / "run")["energy@0.4@0"]
    assert column(rows, "sample_id")[0] == "MMAU/0"
    assert set(column(rows, "query_family")) == {"MMAU", "MMSU"}


def test_a_name_that_no_folder_explains_is_asked_for(tmp_path: Path) -> None:
    path = logs.write_vlmeval(tmp_path / "raw", logs.vlmeval(logs.RAW))
    moved = tmp_path / path.name
    path.rename(moved)
    line = refused("vlmeval", moved, "energy@0.4=c40.xlsx", "--out", tmp_path / "run")
    assert "does not name its model nor its task; name them with --answerer and --corpus" in line


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"question": "Another?"}, "is another question than at "),
        ({"A": "cow"}, "(choices differs)"),
        ({"answer": "B"}, "(target differs)"),
        ({"hit": 2}, "field 'hit' is 2, not in [0, 1]"),
        ({"index": 1}, "sample '1' stands already at"),
    ],
)
def test_refuses_rows(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    rows = logs.vlmeval(logs.COMPRESSED)
    rows[0] |= changed
    assert words in refused(*arms(tmp_path, compressed=rows))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.xlsx", b"PK\3\4 and so on", "is not a whole .xlsx file"),
        ("log.xlsx", logs.deflated_zip([("a", b"")]), "is no workbook: it has no xl/worksheets/sheet1.xml"),
        ("log.tsv", b"index\tprediction\n1\n", "has 1 cells, the header 2"),
        ("log.tsv", b"sample_id,loss\n1,0\n", "looks like a CSV table, not a table of VLMEvalKit; import it as csv"),
        ("log.json", b'{"index": 1}', "looks like a table of JSON lines"),
        ("log.json", b"[1, 2]", "is no list of rows; give the table"),
        ("log.csv", b"split,Overall\nnone,1\n", "a .csv of VLMEvalKit has averages, not rows"),
    ],
)
def test_refuses_files(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refused("vlmeval", tmp_path / name, "energy@0.4=c40.xlsx", "--out", tmp_path / "run")


def test_a_table_is_not_taken_for_another_kind_of_log(tmp_path: Path) -> None:
    paths = [logs.write_vlmeval(tmp_path, logs.vlmeval(logs.RAW), end) for end in (".xlsx", ".tsv")]
    for kind, path in (("inspect", paths[0]), ("csv", paths[1])):
        line = refused(kind, path, "energy@0.4=c40", "--out", tmp_path / "run")
        assert "looks like a table of VLMEvalKit" in line
        assert line.endswith("import it as vlmeval")


# Workbooks -------------------------------------------------------------------------------------------------


def sheet(tmp_path: Path, rows: str, texts: str = "") -> Path:
    path = tmp_path / "sheet.xlsx"
    entries = {"xl/worksheets/sheet1.xml": f"<worksheet><sheetData>{rows}</sheetData></worksheet>".encode()}
    if texts:
        entries["xl/sharedStrings.xml"] = texts.encode()
    path.write_bytes(logs.deflated_zip(entries.items()))
    return path


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("<c><v>3</v></c>", 3),
        ('<c t="n"><v>0.5</v></c>', 0.5),
        ("<c><v>1E-3</v></c>", 0.001),
        ('<c t="b"><v>1</v></c>', True),
        ('<c t="b"><v>0</v></c>', False),
        ('<c t="str"><f>A1</f><v>a formula</v></c>', "a formula"),
        ('<c t="inlineStr"><is><t>in line</t></is></c>', "in line"),
        ('<c t="inlineStr"><is><r><t>rich </t></r><r><t>in line</t></r></is></c>', "rich in line"),
        ('<c t="s"><v>1</v></c>', "rich text"),
        ('<c t="s"><v>0</v></c>', "two\rlines"),
        ('<c t="e"><v>#N/A</v></c>', None),
        ("<c/>", None),
    ],
)
def test_cells(tmp_path: Path, cell: str, value: object) -> None:
    rich = "<si><r><t>rich </t></r><r><rPr/><t>text</t></r><rPh><t>how</t></rPh></si>"
    texts = f"<sst><si><t>two_x000D_lines</t></si>{rich}</sst>"
    ((number, values),) = xlsx.rows(sheet(tmp_path, f'<row r="7">{cell}</row>', texts))
    assert (number, values.get(0)) == (7, value)


def test_cells_stand_in_the_columns_that_they_name(tmp_path: Path) -> None:
    path = sheet(tmp_path, '<row r="1"><c r="C1"><v>2</v></c><c r="AA1"><v>26</v></c></row>')
    assert list(xlsx.rows(path)) == [(1, {2: 2, 26: 26})]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ('<row r="1"><c r="A1" t="s"><v>0</v></c></row>', "there is no text 0"),
        ('<row r="1"><c r="A1" t="s"><v>-1</v></c></row>', "there is no text -1"),
        ('<row r="1"><c r="ZZZ1"><v>0</v></c></row>', "cell ZZZ1"),
        ('<row r="1"><c r="1"><v>0</v></c></row>', "cell 1"),
        ('<row r="1"><c><v>x</v></c></row>', "could not convert string to float"),
        ('<row r="0"/>', "row 0 after row 0"),
        ('<row r="2"/><row r="2"/>', "row 2 after row 2"),
        ('<row r="99999999"/>', "row 99999999 after row 0"),
        ("<row", "not well-formed"),
    ],
)
def test_refuses_sheets(tmp_path: Path, rows: str, reason: str) -> None:
    with pytest.raises(InputError, match=r"is not a whole \.xlsx file") as refusal:
        list(xlsx.rows(sheet(tmp_path, rows)))
    assert reason in str(refusal.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_refuses_declarations_in_whatever_encoding(tmp_path: Path, encoding: str) -> None:
    xml = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "c">]><worksheet>&b;</worksheet>'
    path = tmp_path / "sheet.xlsx"
    path.write_bytes(logs.deflated_zip([("xl/worksheets/sheet1.xml", xml.encode(encoding))]))
    with pytest.raises(InputError, match="it has declarations of XML"):
        list(xlsx.rows(path))


def test_refuses_very_many_cells(tmp_path: Path) -> None:
    cells_of_a_row = "<c/>" * 1024
    path = sheet(tmp_path, "".join(f'<row r="{number}">{cells_of_a_row}</row>' for number in range(1, 4200)))
    with pytest.raises(InputError, match="more than 4,194,304 cells"):
        list(xlsx.rows(path))


def test_rows_and_cells_may_be_without_their_places(tmp_path: Path) -> None:
    path = sheet(tmp_path, "<row><c><v>1</v></c><c/><c><v>2</v></c></row><row><c><v>3</v></c></row>")
    assert list(xlsx.rows(path)) == [(1, {0: 1, 2: 2}), (2, {0: 3})]


def test_names_may_have_prefixes_and_cells_formats(tmp_path: Path) -> None:
    xml = (
        b'<x:worksheet xmlns:x="u"><x:sheetData><x:row r="1"><x:c r="A1" s="3" t="inlineStr"><x:is><x:t>a</x:t></x:is>'
        b'</x:c><x:c r="B1" s="1"><x:f>1+1</x:f><x:v>2</x:v></x:c></x:row></x:sheetData></x:worksheet>'
    )
    path = tmp_path / "sheet.xlsx"
    path.write_bytes(logs.deflated_zip([("xl/worksheets/sheet1.xml", xml)]))
    assert list(xlsx.rows(path)) == [(1, {0: "a", 1: 2})]
