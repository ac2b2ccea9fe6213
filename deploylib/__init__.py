"""Deploy a product to Render, safely."""
