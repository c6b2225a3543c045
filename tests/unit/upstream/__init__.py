"""Tests of the fake upstream itself."""
