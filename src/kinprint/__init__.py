"""Paternity tests for language models."""
