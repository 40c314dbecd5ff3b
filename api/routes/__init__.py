"""One module a kind of thing: parse, one call, render."""
