"""Checkpoint in, checkpoint out."""
