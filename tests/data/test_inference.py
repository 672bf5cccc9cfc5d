"""What columns are taken for, what is asked, and the fixed order of labels."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from underlay.core import DataError, MissingColumn, UsageError
from underlay.data import Table, encode_targets, infer_schema, open_table

_TEXTS = ["a fine quiet film", "a dull and long one", "not so bad at all", "we left before the end"]


def _table(**columns) -> Table:
    return open_table(columns)


def test_the_obvious_is_inferred_and_said():
    table = _table(id=["1", "2", "3", "4"], text=_TEXTS, label=["pos", "neg", "pos", "neg"])
    found = infer_schema(table)
    assert [column.name for column in found.schema.columns] == ["text"]
    assert (found.schema.target.name, found.schema.target.task) == ("label", "binary")
    assert found.schema.target.labels == ("neg", "pos")
    assert "input: 'text', read as text" in found.notes
    assert "target: 'label', 2 labels (binary): neg 2, pos 2" in found.notes
    assert "not used: 'id'" in found.notes


def test_two_columns_that_could_be_the_target_are_a_question():
    table = _table(text=_TEXTS, stars=["1", "5", "5", "1"], label=["a", "b", "a", "b"])
    with pytest.raises(UsageError, match="two columns could be the target: 'stars', 'label' — pass --target stars or"):
        infer_schema(table)
    assert infer_schema(table, targets=["stars"]).schema.target.labels == ("1", "5")


def test_two_text_columns_are_a_question():
    table = _table(title=_TEXTS, body=_TEXTS[::-1], label=["a", "b", "a", "b"])
    with pytest.raises(UsageError, match="two columns could be the input: 'title', 'body' — pass --text title"):
        infer_schema(table)
    both = infer_schema(table, columns={"title": "text", "body": "text"}).schema
    assert [column.name for column in both.columns] == ["title", "body"]


def test_an_unnamed_target_is_found_where_there_is_one():
    assert infer_schema(_table(words=_TEXTS, verdict=["a", "b", "a", "b"])).schema.target.name == "verdict"


def test_single_words_are_text_where_the_name_says_so_or_nothing_else_is_left():
    assert infer_schema(_table(text=["good", "bad"] * 4, label=["a", "b"] * 4)).schema.columns[0].name == "text"
    assert infer_schema(_table(word=["good", "bad"], label=["a", "b"])).schema.columns[0].name == "word"


def test_chinese_columns_are_found_without_spaces():
    table = _table(
        评论=["质量很好我非常喜欢", "太差了完全失望", "一般般吧还可以用", "下次还会再来的"],
        标签=["好", "差", "差", "好"],
    )
    found = infer_schema(table)
    assert found.schema.columns[0].modality == "text"
    assert found.schema.target.labels == ("好", "差")


@pytest.mark.row("D01")
def test_a_missing_label_column_names_the_columns_found():
    table = _table(text=_TEXTS, note=_TEXTS[::-1])
    with pytest.raises(MissingColumn, match=r"'label'; there is \['text', 'note'\]") as caught:
        infer_schema(table)
    assert caught.value.exit_code == 3
    with pytest.raises(MissingColumn, match=r"'lable'; there is \['text', 'label'\] — did you mean 'label'"):
        infer_schema(_table(text=_TEXTS, label=["a", "b", "a", "b"]), targets=["lable"])


@pytest.mark.row("D01")
def test_a_header_without_rows_is_refused(opened):
    with pytest.raises(DataError, match=r"header \(text, label\) and no rows"):
        infer_schema(opened("a.csv", "text,label\n"))


@pytest.mark.row("D02")
def test_one_label_only_is_refused():
    with pytest.raises(DataError, match="one label only, 'a'") as caught:
        infer_schema(_table(text=_TEXTS, label=["a"] * 4))
    assert caught.value.exit_code == 3


@pytest.mark.row("D02")
def test_more_than_ten_thousand_labels_are_refused():
    labels = [f"c{number}" for number in range(10_001)]
    with pytest.raises(DataError, match="10,001 labels; at most 10,000"):
        infer_schema(_table(text=["some words here"] * 10_001, label=labels), columns={"text": "text"})


def test_five_hundred_labels_are_fine():
    labels = [f"intent {number}" for number in range(500)] * 2
    table = _table(text=[f"words of row {n}" for n in range(1000)], label=labels)
    target = infer_schema(table).schema.target
    assert (target.task, len(target.labels)) == ("multiclass", 500)
    assert encode_targets(table, target).values.max() == 499


@pytest.mark.row("D04")
@pytest.mark.parametrize("labels", [["10", "9", "0", "1"], [10, 9, 0, 1], [10.0, 9.0, 0.0, 1.0]])
def test_numeric_labels_sort_as_numbers(labels):
    table = _table(text=_TEXTS, label=labels)
    target = infer_schema(table).schema.target
    assert target.labels == ("0", "1", "9", "10")
    assert encode_targets(table, target).values.tolist() == [3, 2, 0, 1]


@pytest.mark.parametrize("labels", [["True", "False"] * 2, [True, False] * 2])
def test_true_and_false_are_a_binary_target(labels):
    assert infer_schema(_table(text=_TEXTS, label=labels)).schema.target.labels == ("False", "True")


def test_mixed_types_become_names(opened):
    rows = '{"text": "a b c", "label": 1}\n{"text": "d e f", "label": "x"}\n{"text": "g h i", "label": true}\n'
    table = opened("a.jsonl", rows)
    assert infer_schema(table).schema.target.labels == ("1", "True", "x")
    assert "mixes bool and int and string" in table.notes[0]


def test_nan_labels_are_missing_and_not_a_class():
    for labels in (["a", "nan", "b", ""], ["a", None, "b", None], ["a", "NA", "b", " "]):
        table = _table(text=_TEXTS, label=labels)
        target = infer_schema(table).schema.target
        assert target.labels == ("a", "b")
        assert encode_targets(table, target).values.tolist() == [0, -100, 1, -100]


def test_a_word_for_missing_can_be_a_label_where_the_schema_says_so():
    from underlay.core import Target

    found = encode_targets(_table(label=["NA", "DE", ""]), Target("label", "binary", ("DE", "NA")))
    assert found.values.tolist() == [1, 0, -100]
    assert found.missing.tolist() == [False, False, True]


def test_an_unknown_label_is_named_with_its_place(opened):
    from underlay.core import Target

    table = opened("a.csv", "text,label\na,yes\nb,yse\nc,yse\n")
    with pytest.raises(
        DataError, match=r"a\.csv, line 3 \(and 1 more\): .* holds 'yse', none of the 2 labels — did you"
    ):
        encode_targets(table, Target("label", "binary", ("no", "yes")))


def test_many_broken_numbers_are_a_quantity_and_few_are_a_question():
    texts = [f"some words of {n}" for n in range(60)]
    price = [n + 0.5 for n in range(60)]
    assert infer_schema(_table(text=texts, score=price)).schema.target.task == "regression"
    with pytest.raises(UsageError, match="could be labels or quantities"):
        infer_schema(_table(text=texts, score=[0.5, 1.0, 1.5] * 20))
    with pytest.raises(UsageError, match="could be labels or quantities"):
        infer_schema(_table(text=texts, score=[n * 7 for n in range(60)]))
    asked = infer_schema(_table(text=texts, score=[0.5, 1.0, 1.5] * 20), task="multiclass").schema.target
    assert asked.labels == ("0.5", "1", "1.5")


def test_whole_codes_without_gaps_are_labels():
    table = _table(text=[f"some words of {n}" for n in range(300)], label=[n % 77 for n in range(300)])
    assert infer_schema(table).schema.target.task == "multiclass"


@pytest.mark.row("D09")
def test_regression_sets_missing_and_infinite_aside_and_names_what_is_no_number(opened):
    from underlay.core import Target

    table = opened("a.csv", "text,score\na,1.5\nb,\nc,inf\nd,nan\ne,2\n")
    found = encode_targets(table, Target("score", "regression"))
    assert found.missing.tolist() == [False, True, True, True, False]
    assert found.values[[0, 4]].tolist() == [1.5, 2.0]
    with pytest.raises(DataError, match=r"a\.csv, line 3: column 'score' holds '1,5', not a number"):
        encode_targets(opened("a.csv", 'text,score\na,1\nb,"1,5"\n'), Target("score", "regression"))


def test_multilabel_from_separators_and_from_lists():
    texts = _TEXTS
    table = _table(text=texts, tags=["red|blue", "blue", "", "red | green"])
    target = infer_schema(table).schema.target
    assert (target.task, target.labels, target.separator) == ("multilabel", ("blue", "green", "red"), "|")
    found = encode_targets(table, target)
    assert found.values.tolist() == [[1, 0, 1], [1, 0, 0], [-100, -100, -100], [0, 1, 1]]
    assert found.missing.tolist() == [False, False, True, False]
    listed = _table(text=texts, tags=[["red", "blue"], ["blue"], None, []])
    target = infer_schema(listed).schema.target
    assert encode_targets(listed, target).values.tolist() == [[1, 1], [1, 0], [-100, -100], [0, 0]]


def test_an_unknown_label_in_a_multilabel_cell_is_named():
    from underlay.core import Target

    with pytest.raises(DataError, match=r"memory, row 2: column 'tags' holds 'purple'"):
        encode_targets(_table(tags=["red", "red|purple"]), Target("tags", "multilabel", ("blue", "red")))


def test_one_column_cannot_be_input_and_target():
    with pytest.raises(UsageError, match="named as input and as target"):
        infer_schema(_table(text=_TEXTS), targets=["text"], columns={"text": "text"})


@given(st.lists(st.sampled_from(["b", "a", "10", "9", "é", "好", "Z", " a"]), min_size=2, max_size=30))
def test_the_order_of_labels_does_not_depend_on_the_order_of_rows(labels):
    if len(set(labels)) < 2:
        return
    one, other = (
        infer_schema(
            Table(pa.table({"t": ["x"] * len(labels), "label": rows})), columns={"t": "text"}, task="multiclass"
        )
        for rows in (labels, labels[::-1])
    )
    assert one.schema.target == other.schema.target
    table = Table(pa.table({"label": labels}))
    names = one.schema.target.labels
    assert [names[at] for at in encode_targets(table, one.schema.target).values] == labels
