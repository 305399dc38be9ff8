"""The latch file says exactly what was written, or that it cannot say. Nothing torn or edited reads as CLEAR."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_trading_system.core.types import Latch
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.latch_file import SIZE_BYTES, LatchFile


@pytest.fixture
def latch(tmp_path: Path) -> LatchFile:
    return LatchFile(tmp_path / "kill.latch")


@pytest.mark.requirement("R046")
def test_a_latch_that_was_never_written_is_missing(latch: LatchFile):
    assert latch.read()[0] is Latch.MISSING


@pytest.mark.requirement("R044")
def test_an_engagement_is_read_back_by_another_process(latch: LatchFile):
    latch.initialise()
    latch.engage("ana", "runaway orders", at_ns=5)
    other = LatchFile(latch.path)
    assert other.read() == (Latch.ENGAGED, "ana: runaway orders")
    content = other.read_content()
    assert content is not None
    assert (content.operator, content.reason, content.at_ns) == ("ana", "runaway orders", 5)


def test_a_reset_clears_it(latch: LatchFile):
    latch.engage("ana", "test")
    latch.clear("ben", "reconciled")
    assert latch.read() == (Latch.CLEAR, "ben: reconciled")


@pytest.mark.requirement("R057")
def test_a_new_database_instance_never_clears_an_engaged_latch(latch: LatchFile):
    latch.engage("ana", "test")
    latch.initialise()
    assert latch.read()[0] is Latch.ENGAGED


@pytest.mark.invariant("I10")
def test_every_prefix_of_the_file_is_unreadable(latch: LatchFile):
    latch.clear("ana", "clean")
    whole = latch.path.read_bytes()
    assert len(whole) == SIZE_BYTES
    for length in range(len(whole)):
        latch.path.write_bytes(whole[:length])
        assert latch.read()[0] is Latch.UNREADABLE, f"a prefix of {length} bytes"


@pytest.mark.invariant("I10")
def test_every_changed_byte_of_the_content_makes_it_unreadable(latch: LatchFile):
    latch.clear("ana", "clean")
    whole = latch.path.read_bytes()
    for place in range(len(whole.rstrip()) + 1):
        changed = bytearray(whole)
        changed[place] ^= 0x01
        latch.path.write_bytes(bytes(changed))
        assert latch.read()[0] is Latch.UNREADABLE, f"byte {place} changed"


def test_a_file_of_zeroes_is_unreadable(latch: LatchFile):
    latch.path.write_bytes(bytes(SIZE_BYTES))
    assert latch.read()[0] is Latch.UNREADABLE


def test_a_folder_in_its_place_is_unreadable(latch: LatchFile):
    latch.path.mkdir()
    assert latch.read()[0] is Latch.UNREADABLE


def test_every_state_can_be_written_over_every_other(latch: LatchFile):
    for latch_now in (Latch.CLEAR, Latch.ENGAGED, Latch.ENGAGED, Latch.CLEAR, Latch.CLEAR):
        (latch.engage if latch_now is Latch.ENGAGED else latch.clear)("ana", "drill")
        assert latch.read()[0] is latch_now


def test_the_longest_and_strangest_words_still_fit(latch: LatchFile):
    latch.engage("\x01" * 10_000, "\ud800é\0" * 10_000)
    assert latch.read()[0] is Latch.ENGAGED


def test_an_engagement_that_cannot_replace_the_file_overwrites_it(latch: LatchFile):
    latch.clear("ana", "clean")
    spare = latch.path.with_name("kill.latch.spare")
    spare.unlink()
    spare.mkdir()  # stands for a disk that takes no new file
    latch.engage("ana", "disk full")
    assert latch.read() == (Latch.ENGAGED, "ana: disk full")


def test_a_reset_that_cannot_be_written_leaves_it_engaged(latch: LatchFile):
    latch.engage("ana", "test")
    spare = latch.path.with_name("kill.latch.spare")
    spare.unlink()
    spare.mkdir()
    with pytest.raises(StoreUnavailable, match=r"kill\.latch"):
        latch.clear("ben", "reconciled")
    assert latch.read()[0] is Latch.ENGAGED


def test_the_space_for_the_next_write_is_kept(latch: LatchFile):
    latch.clear("ana", "clean")
    assert latch.path.with_name("kill.latch.spare").stat().st_size == SIZE_BYTES


def test_the_file_is_readable_by_its_owner_alone(latch: LatchFile):
    latch.engage("ana", "test")
    assert latch.path.stat().st_mode & 0o077 == 0
