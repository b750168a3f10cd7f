"""Documents for people and machines: EN 16931 as CII and UBL, Factur-X in PDF/A-3, from a stored payload."""
