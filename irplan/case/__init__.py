"""One case from files to files: open any image, run the chain, write the folder."""
