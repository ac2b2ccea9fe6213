"""The program that runs alembic with the product's own interpreter.

It imports nothing of deploylib.
"""
