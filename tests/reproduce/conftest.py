"""Small generated images, as the tests of training have them."""

from tests.train.conftest import make_images as make_images
