"""What one worker does: the mathematics and its data. Imports neither `service` nor `api`."""
