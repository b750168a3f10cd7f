"""A thousand silent connections leave files for the database."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from smsgate.daemon.open_files import OPEN_FILES_WANTED, raise_open_files

FEW = 200


@pytest.fixture
def hard() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_limit_of_open_files_is_raised_as_far_as_it_may(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    now = raise_open_files()
    assert now == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert now == (OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(OPEN_FILES_WANTED, hard))
    assert now > FEW


def test_a_limit_that_is_high_already_stays(hard: int) -> None:
    raised = raise_open_files()
    assert raise_open_files() == raised
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (raised, hard)
