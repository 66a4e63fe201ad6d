# A requested '~.feat' has range None, and rez subtracts it from the range that a package asks for: AttributeError.
{
    "packages": [
        {"name": "app", "version": "1", "requires": [".feat-1"]},
    ],
    "requests": ["~.feat", "app"],
    "options": {},
}
