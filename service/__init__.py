"""What the service knows: jobs, queue, scheduling, averaging. Imports `workers`, never `api`."""
