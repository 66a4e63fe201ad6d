# The other side of rez's union: '1..5' and '>5' stay two ranges, and the text says so ('lib-1..5|>5', not 'lib-1+').
{
    "packages": [
        {"name": "lib", "version": "5"},
    ],
    "requests": ["lib-1..5|2+<3|>5", "lib<1"],
    "options": {},
}
