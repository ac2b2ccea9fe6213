"""A guest book: a small web service that keeps its entries in Postgres."""

__version__ = "1.0.0"
