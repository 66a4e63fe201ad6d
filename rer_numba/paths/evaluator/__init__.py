"""Package files that compute what they say, evaluated without running them.

An interpreter for the part of Python that people use in package files to write the same thing shorter: texts and lists
put together, conditions, loops, small functions, and imports of standard modules that only functions use. As soon as
something could differ between processes (an environment variable, the platform, a file, the order of a set), or is
unusual, or takes long, it refuses, and the file has to be run.
"""
