"""Heating simulations: the bioheat march, microwave antennas, coolants."""
