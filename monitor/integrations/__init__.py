"""What foreign scripts and frameworks plug into: one short module per framework, imported only where it is used."""
