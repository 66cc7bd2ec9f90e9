from __future__ import annotations

from tests.families import family_and_size, smallest_first


def test_the_families_are_told_apart() -> None:
    assert family_and_size("shufflenet_v1_g3_x0_25") == ("shufflenet_v1_g3", 0.25)
    assert family_and_size("shufflenet_v2_plus_large") == ("shufflenet_v2_plus", 2.0)
    assert family_and_size("resnet_like_140m") == ("resnet_like", 140.0)
    assert family_and_size("shufflenet_v2_x1_5_star") == ("shufflenet_v2_star", 1.5)
    assert family_and_size("alexnet") == ("alexnet", 0.0)
    for groups in (1, 2, 3, 4, 8):
        assert f"shufflenet_v1_g{groups}_x0_25" in smallest_first()
