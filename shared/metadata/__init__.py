"""What a dispatch may say about a call: the contract, its marks, how it is parsed and where it came from."""
