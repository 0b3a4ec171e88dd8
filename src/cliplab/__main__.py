"""`python -m cliplab` is `cliplab`."""

from cliplab.cli import main

main()
