"""Timings beside those of peers, in the same run: `make bench`. They decide no test."""
