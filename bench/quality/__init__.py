"""What encoding costs in quality, in CPU and in bytes, for every setting that could be a default; `python -m bench --only quality`.

`material` says what is encoded, `measures` how alike source and decoded audio are, `trial` does one setting, `grid` says
which are tried, `report` and `curve` show it.
"""
