"""What is made up and tried, a module each; `make` is a `fuzz.contract.Area`."""
