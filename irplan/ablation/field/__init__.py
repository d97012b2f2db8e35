"""Potential problems: radiofrequency heating and irreversible electroporation."""
