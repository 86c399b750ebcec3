"""UPI, India's instant payments: addresses, links, QR codes, limits and codes. Nothing here does I/O."""
