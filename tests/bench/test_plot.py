from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("altair", reason="altair is not installed: pip install 'shufflekit[bench]'")

from shufflekit.bench.plot import draw
from shufflekit.errors import UsageError
from tests.bench.test_results import session, timed


def test_pictures_of_each_race(tmp_path: Path) -> None:
    one = session(timed("net_x0_5", 1.0, 1.1, 1.2), timed("net_x0_5", 2.0, 2.1, 2.2, "torch"), timed("net_x1_0", 3.0, 3.1, 3.2))
    names = [path.name for path in draw(one, {"net_x0_5": 40.0, "net_x1_0": 30.0}, tmp_path / "new")]
    assert names == ["bars-224x224-batch1-threads1.png", "error-224x224-batch1-threads1.png"]
    for name in names:
        with Image.open(tmp_path / "new" / name) as picture:
            assert picture.width > 500
            low, high = picture.convert("L").getextrema()
            assert high - low > 200  # something was drawn
    assert [path.name for path in draw(one, {}, tmp_path)] == names[:1]


def test_nothing_timed_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="^plot: nothing was timed$"):
        draw(session(), {}, tmp_path)
