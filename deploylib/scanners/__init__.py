"""What a release is scanned for: secrets, known weaknesses, packages, variables, the Blueprint."""
