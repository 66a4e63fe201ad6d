"""From package folders to tables: what rez would find on a package path, and whether it is still the same.

`discover` lists families and versions as rez's filesystem repositories do, `settings` holds what rez can be told about
that, and `states` what tells that a file or a folder has not changed.
"""
