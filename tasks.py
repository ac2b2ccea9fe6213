"""What an operator types in this repository: every task of the library, as in the ``tasks.py`` of any other product.

inv --list
"""

from deploylib.cli import collection

ns = collection()
