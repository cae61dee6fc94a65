"""Protobuf read without its library, against the library."""

import pytest
from google.protobuf.struct_pb2 import ListValue, Struct
from hypothesis import given
from hypothesis import strategies as st

from edgefer.protobuf import Message, field, fields, read_varint, varint

VALUES = st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=5)


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_read_as_it_was_written(value):
    assert read_varint(varint(value)) == (value, len(varint(value)))


@given(VALUES)
def test_a_map_that_the_library_wrote_is_read(values):
    struct = Struct()
    struct.update(values)
    read = Message(struct.SerializeToString()).entries(1)
    assert {key: value.text(3) for key, value in read.items()} == values


@given(st.lists(st.text(max_size=20), max_size=5))
def test_the_library_reads_what_is_written_here(values):
    data = b"".join(field(1, field(3, value.encode())) for value in values)
    assert [each.string_value for each in ListValue.FromString(data).values] == values


def test_what_is_absent_reads_as_the_default():
    empty = Message()
    assert (empty.number(1), empty.text(1), empty.all(1), empty.numbers(1)) == (0, "", [], [])
    assert empty.message(1).number(2) == 0
    assert 1 not in empty


@given(st.binary(max_size=60))
def test_damage_is_one_of_two_errors_and_never_an_endless_loop(data):
    try:
        list(fields(data))
    except (ValueError, IndexError):
        return


@given(VALUES.filter(bool), st.data())
def test_a_message_cut_off_within_a_field_is_refused(values, data):
    struct = Struct()
    struct.update(values)
    whole = struct.SerializeToString()
    ends = {each.start for each in fields(whole)}
    cut = data.draw(st.integers(1, len(whole) - 1).filter(lambda at: at not in ends))
    with pytest.raises((ValueError, IndexError)):
        list(fields(whole[:cut]))
