"""A local Render."""
