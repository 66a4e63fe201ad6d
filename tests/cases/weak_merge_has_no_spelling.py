# rez merges the two into a weak requirement whose inverse is an invalid bound, so that it has no text; rez never asks
# for the text here, and solves.
{
    "packages": [
        {"name": "lib", "version": "3.1"},
        {"name": "app", "version": "1", "requires": ["~lib<3.1|>4.3"], "variants": [["~lib==4.3|==3.1"]]},
    ],
    "requests": ["app"],
    "options": {},
}
