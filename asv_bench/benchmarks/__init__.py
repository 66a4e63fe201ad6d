"""What rer-numba costs its users: one file for each cost they notice."""
