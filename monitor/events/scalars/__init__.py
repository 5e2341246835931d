"""Event files by the column: thousands of scalars at a time, as rows of a byte matrix."""
