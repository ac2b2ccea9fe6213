"""What an environment remembers in its store: history, lease, holds."""
