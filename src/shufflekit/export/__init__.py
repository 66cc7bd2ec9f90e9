"""Networks as files of other runtimes, through their own converters, and verified by running them there."""

from shufflekit.export.convert import FORMATS, export, verify
from shufflekit.export.format import Format, Settings

__all__ = ["FORMATS", "Format", "Settings", "export", "verify"]
