"""All that knows Render: its API, its Blueprint, its pace, and the local one."""
