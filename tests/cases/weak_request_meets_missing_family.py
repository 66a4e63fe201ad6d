# '~nowhere-1' asks for nothing until something requires the family; only then rez looks for it.
{
    "packages": [
        {"name": "top", "version": "1", "requires": ["nowhere"]},
    ],
    "requests": ["~nowhere-1", "top"],
    "options": {},
}
