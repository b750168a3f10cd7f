"""What must not run twice on one directory says so, and leaves the place when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgate.daemon.one_gateway import one_gateway
from smsgate.demo.one_demo import DemoFailed, only_one, runs_in
from smsgate.errors import ConfigError


def test_a_second_gateway_on_one_state_directory_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    with one_gateway(tmp_path):
        with pytest.raises(ConfigError) as caught, one_gateway(tmp_path):
            pass
        assert "--roles api,webhooks" in caught.value.mend
    with one_gateway(tmp_path):
        pass


def test_a_second_demo_in_one_directory_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    assert not runs_in(tmp_path)
    with only_one(tmp_path):
        assert runs_in(tmp_path)
        with pytest.raises(DemoFailed, match="a demo runs in"), only_one(tmp_path):
            pass
    with only_one(tmp_path):
        pass
    assert not runs_in(tmp_path)
