"""One test per profile of the faulty SMSC: the real gateway does what the profile asks of a client."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgate.simulator.profiles import PROFILES
from tests.quirks.cases import CASES
from tests.quirks.expectations import nothing_leaks
from tests.quirks.ground import QuirkGround
from tests.quirks.scene import a_scene


@pytest.mark.parametrize("name", CASES)
async def test_the_gateway_copes_with(name: str, quirk_ground: QuirkGround, tmp_path: Path) -> None:
    async with a_scene(name, CASES[name], quirk_ground, tmp_path) as scene:
        await scene.case.expect(scene)
    nothing_leaks(scene)


def test_every_profile_of_the_simulator_has_its_case_and_there_are_no_others() -> None:
    assert set(CASES) == set(PROFILES)
