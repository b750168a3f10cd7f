"""What is measured by hand: `make bench-...`; figures are in docs/performance.md."""
