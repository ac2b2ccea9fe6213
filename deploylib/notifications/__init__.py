"""Messages to people about the end of a run."""
