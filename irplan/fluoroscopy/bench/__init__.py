"""What a filter is worth: dose factors, worst cases, devices, lag, structure and speed."""
