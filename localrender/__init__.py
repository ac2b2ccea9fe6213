"""A local Render: speaks Render's REST API on loopback and really runs what a Blueprint says."""
