"""The program that runs alembic with the product's own interpreter; it imports nothing of deploylib."""
