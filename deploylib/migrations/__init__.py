"""Migrations of the database: linted, rehearsed on a copy, applied."""
