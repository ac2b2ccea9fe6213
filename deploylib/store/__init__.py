"""Where state and backups are kept: a folder or a bucket."""
