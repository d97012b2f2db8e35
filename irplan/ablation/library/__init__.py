"""The numbers behind `TISSUES` and `APPLICATORS`, and the tables they are held against."""
