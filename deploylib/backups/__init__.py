"""Backups: made, proven, listed, restored, removed."""
