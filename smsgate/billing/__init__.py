"""Prices, rating, postings and statements: pure, integers only; rounding happens once, in a statement."""
