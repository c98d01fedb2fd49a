from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.synthetic.camera import Camera
from rs2sam.datasets.synthetic.canvas import Canvas, Label, Material
from rs2sam.datasets.synthetic.geometry import points, rectangle

PLAIN = Material((200, 100, 50), 0, 0, 0)


def canvas(turn: float = 0.0, sun_xy: tuple[float, float] = (1.0, 0.0)) -> Canvas:
    return Canvas(np.random.default_rng(0), (40, 60), 0.5, turn, sun_xy)


def test_metres_become_pixels_around_the_middle() -> None:
    assert canvas().pixels(points((0, 0), (5, 5))).tolist() == [[30, 20], [40, 30]]
    assert canvas(turn=np.pi / 2).pixels(points((5, 0)))[0] == pytest.approx([30, 30])


def test_painted_rectangle_covers_exactly_its_pixels() -> None:
    drawn = canvas()
    drawn.paint([rectangle((0, 0), 10, 5)], PLAIN, Label(7, 0))

    expected = np.zeros((40, 60), dtype=bool)
    expected[15:25, 20:40] = True
    assert np.array_equal(drawn.ground_ids == 7, expected)
    assert drawn.rgb[20, 30].tolist() == [200, 100, 50]
    assert drawn.rgb[2, 2].tolist() == [0, 0, 0]


def test_partly_covered_pixels_are_mixed() -> None:
    drawn = canvas()
    drawn.paint([rectangle((0.2, 0), 10, 5)], PLAIN)

    assert 90 <= drawn.rgb[20, 20, 0] <= 160
    assert 40 <= drawn.rgb[20, 40, 0] <= 110


def test_sparse_and_dense_painting_give_the_same_colours() -> None:
    thin = [rectangle((0, 0), 58, 1, 0.6)]
    large = Canvas(np.random.default_rng(0), (128, 128), 0.5, 0.0, (1, 0))
    small_windows = Canvas(np.random.default_rng(0), (128, 128), 0.5, 0.0, (1, 0))
    large.paint(thin, Material((200, 100, 50), 0.1, 0.1, 0.1, (20, 30, 40)))
    hit = small_windows.coverage(thin)
    assert hit is not None
    assert hit[1].size > 4096
    material = Material((200, 100, 50), 0.1, 0.1, 0.1, (20, 30, 40))
    small_windows.blend(hit[0], hit[1], small_windows.texture(hit[0], material))

    assert np.allclose(large.rgb, small_windows.rgb, atol=1e-3)


def test_what_stands_on_others_leaves_their_labels() -> None:
    drawn = canvas()
    drawn.paint([rectangle((0, 0), 10, 10)], PLAIN, Label(1, 0))
    drawn.paint([rectangle((0, 0), 2, 2)], PLAIN, Label(2, None, top=True))

    assert (drawn.ground_ids == 1).sum() == 400
    assert (drawn.top_ids == 2).sum() == 16


def test_painting_without_a_label_changes_colour_only() -> None:
    drawn = canvas()
    drawn.paint([rectangle((0, 0), 10, 10)], PLAIN, Label(1, 3))
    drawn.paint([rectangle((0, 0), 2, 2)], Material((1, 2, 3), 0, 0, 0))

    assert (drawn.ground_ids == 1).sum() == (drawn.regions == 3).sum() == 400
    assert drawn.rgb[20, 30].tolist() == [1, 2, 3]


def test_shadows_fall_along_the_sun_and_carry_no_label() -> None:
    drawn = canvas(sun_xy=(1.0, 0.0))
    drawn.fill(Material((100, 100, 100), 0, 0, 0))
    drawn.cast([rectangle((0, 0), 4, 4)], 5.0)

    assert drawn.rgb[20, 42, 0] < 50
    assert drawn.rgb[20, 20, 0] == 100
    assert not drawn.ground_ids.any()


def test_shadow_direction_is_kept_when_the_drawing_is_turned() -> None:
    drawn = canvas(turn=1.0, sun_xy=(0.0, -1.0))
    drawn.fill(Material((100, 100, 100), 0, 0, 0))
    drawn.cast([rectangle((0, 0), 2, 2)], 6.0)

    assert drawn.rgb[10, 30, 0] < 50
    assert drawn.rgb[30, 30, 0] == 100
    assert drawn.toward_sun == pytest.approx((0, 1))


def test_overlapping_shadows_take_the_light_once() -> None:
    once, twice = canvas(), canvas()
    for drawn, times in ((once, 1), (twice, 2)):
        drawn.fill(Material((100, 100, 100), 0, 0, 0))
        for _ in range(times):
            drawn.shade([rectangle((0, 0), 8, 8)])

    assert np.array_equal(once.rgb, twice.rgb)


def test_nothing_outside_the_image_is_drawn() -> None:
    assert canvas().coverage([rectangle((500, 0), 4, 4)]) is None
    assert not canvas().sees((500, 0), 10)


def test_camera_without_faults_keeps_the_colours() -> None:
    perfect = Camera(unevenness=0, blur_px=0, noise=0, jpeg_quality=None)
    rgb = np.full((16, 16, 3), (10.0, 90.0, 180.0), dtype=np.float32)

    assert np.array_equal(perfect.expose(np.random.default_rng(0), rgb)[0, 0], [10, 90, 180])


def test_camera_adds_haze_blur_and_noise() -> None:
    rgb = np.zeros((32, 32, 3), dtype=np.float32)
    rgb[:, 16:] = 150
    hazy = Camera(unevenness=0, haze=0.3, blur_px=1.5, noise=4).expose(np.random.default_rng(0), rgb)

    assert hazy[:, :8].mean() > 45
    assert 1 < hazy[:, :8, 0].std() < 12
    assert 60 < hazy[:, 16].mean() < 150
