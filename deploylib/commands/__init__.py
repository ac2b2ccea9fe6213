"""One function for each thing a person or a script may ask for."""
