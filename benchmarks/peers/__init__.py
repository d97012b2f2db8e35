"""One problem solved by each peer; each file runs alone in the peers' own environment."""
