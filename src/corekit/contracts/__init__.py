"""One module per capability: Protocol, structs, events and hookspecs, no I/O."""
