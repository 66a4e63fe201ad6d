# rez's variant sort compares the range of '~lib', which is None, with a range, once both variants mention a requested
# family: TypeError.
{
    "packages": [
        {"name": "lib", "version": "1"},
        {"name": "app", "version": "1", "variants": [["~lib"], ["lib-1"]]},
    ],
    "requests": ["lib", "app"],
    "options": {},
}
