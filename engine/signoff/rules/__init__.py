"""The rules: from paired differences to tests, verdicts and the claim (method 5 and 9). Knows no files."""
