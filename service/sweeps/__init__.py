"""Sweeps: which trials there are and what became of them. The only room that knows Optuna."""
