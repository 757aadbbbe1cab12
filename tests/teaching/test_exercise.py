"""What an exercise does with answers, whatever it asks: copies, kinds of results, messages, hints."""

import numpy as np
import pytest
import torch

from vosedu.teaching.exercise import Exercise, Wrong, as_array, need


def checked(test, answer, capsys):
    """Whether an exercise with this test passes, and what it prints."""
    capsys.readouterr()
    passed = Exercise("task", test, ("first", "second")).check(answer)
    return passed, capsys.readouterr().out


def test_an_answer_gets_copies(capsys):
    tensor, array = torch.arange(3.0), np.arange(3.0)

    def test(answer):
        answer(tensor, array, [1])
        if tensor.sum() != 3 or array.sum() != 3:
            raise Wrong("they are changed")

    def answer(a, b, c):
        a.zero_()
        b[:] = 0
        assert c == [1]

    assert checked(test, answer, capsys) == (True, "task: right.\n")


def test_tensors_inside_lists_and_tuples_are_copied_too(capsys):
    pairs = [(torch.ones(2), None), (np.ones(2), "name")]

    def test(answer):
        answer(pairs)
        if pairs[0][0].sum() != 2 or pairs[1][0].sum() != 2:
            raise Wrong("they are changed")

    def answer(given):
        assert given[0][1] is None and given[1][1] == "name" and isinstance(given, list) and isinstance(given[0], tuple)
        given[0][0].zero_()
        given[1][0][:] = 0

    assert checked(test, answer, capsys) == (True, "task: right.\n")


def test_each_way_to_fail_is_one_line(capsys):
    def raising(error):
        def answer():
            raise error
        return checked(lambda a: a(), answer, capsys)

    assert raising(NotImplementedError()) == (False, "task: still to be written. exercises.task.hint(1) helps.\n")
    assert raising(Wrong("It is too small.")) == (False, "task: not yet. It is too small.\n")
    assert raising(KeyError("a")) == (False, "task: it stops with KeyError: 'a'\n")


def test_hints_are_two(capsys):
    exercise = Exercise("task", lambda answer: None, ("first", "second"))
    for number, text in ((1, "first"), (2, "second"), (3, "task has two hints: hint(1) and hint(2)."), (0, "task has two"),
                         (-1, "task has two")):
        exercise.hint(number)
        assert capsys.readouterr().out.startswith(text)
    exercise.hint()
    assert capsys.readouterr().out == "first\n"


RIGHT = [1.0, -2.0, 0.5]


@pytest.mark.parametrize("found", [
    torch.tensor(RIGHT), torch.tensor(RIGHT, dtype=torch.float64), torch.tensor(RIGHT, requires_grad=True), np.array(RIGHT),
    np.array(RIGHT, np.float32), RIGHT, tuple(RIGHT), [torch.tensor(v) for v in RIGHT], torch.tensor(RIGHT) + 5e-5,
], ids=["tensor", "float64", "with gradient", "array", "float32", "list", "tuple", "list of tensors", "rounded"])
def test_kinds_of_right_answers(found):
    for expected in (torch.tensor(RIGHT), np.array(RIGHT), RIGHT):
        need(found, expected, {}, "otherwise")


@pytest.mark.parametrize("found", [1, 1.0, np.float32(1), np.int64(1), torch.tensor(1), np.array(1.0), True])
def test_kinds_of_right_numbers(found):
    need(found, 1.0, {}, "otherwise")
    with pytest.raises(Wrong, match="otherwise"):
        need(found, 2.0, {}, "otherwise")


@pytest.mark.parametrize(("found", "message"), [
    (torch.tensor([1.0, -2.0, 0.6]), "otherwise"),
    (-np.array(RIGHT), "The sign."),
    (torch.tensor([1.0, float("nan"), 0.5]), "NaN.*otherwise"),
    (torch.tensor([1.0, float("inf"), 0.5]), "otherwise"),
    (RIGHT[:2], r"Expected a tensor of shape \(3,\), and got one of shape \(2,\)."),
    ([RIGHT], r"got one of shape \(1, 3\)."),
    (1.0, r"shape \(3,\), and got float."),
    (None, "and got NoneType."),
    ("abc", "and got str."),
    ([[1.0], [1.0, 2.0]], "and got list."),
    (torch.tensor(RIGHT) + 3e-4, "otherwise"),
])
def test_wrong_answers_and_their_messages(found, message):
    with pytest.raises(Wrong, match=message):
        need(found, RIGHT, {"The sign.": -torch.tensor(RIGHT), "It is zero.": np.zeros(3)}, "otherwise")


def test_a_number_is_expected_and_the_tolerance_is_given():
    with pytest.raises(Wrong, match="Expected a number, and got NoneType"):
        need(None, 1.0, {}, "otherwise")
    with pytest.raises(Wrong, match=r"Expected a number, and got one of shape \(2,\)"):
        need([1.0, 1.0], 1.0, {}, "otherwise")
    with pytest.raises(Wrong, match="otherwise"):
        need(1.00005, 1.0, {}, "otherwise", tolerance=1e-6)


def test_as_array_takes_numbers_alone():
    assert as_array(torch.tensor([1, 2])).dtype == np.float64
    assert as_array(None) is None and as_array({}) is None and as_array("1") is None
