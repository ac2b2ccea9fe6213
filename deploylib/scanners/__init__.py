"""Scanners: what can be seen of a commit without running it.

`scan` runs every scanner on a folder, side by side, and returns one frozen result. A `Scanner` is a function that is given
a `Product` and returns what it examined; each stands in a file of its own, and the tuple of all is `scanning.SCANNERS`.
`Services` is what is known of the product's services: the variables they need and have, and their Blueprint.
`scan_variables` is the one that needs the platform.
`list_files` goes through the files of a product, and `package_files` knows the files that name its packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.scanners import package_files
    from deploylib.scanners.product import Product, Scanner, Services
    from deploylib.scanners.scanning import scan
    from deploylib.scanners.tree import list_files
    from deploylib.scanners.variables import scan_variables

__all__ = ["Product", "Scanner", "Services", "list_files", "package_files", "scan", "scan_variables"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Product": "product",
            "Scanner": "product",
            "Services": "product",
            "list_files": "tree",
            "package_files": "package_files",
            "scan": "scanning",
            "scan_variables": "variables",
        },
    )
