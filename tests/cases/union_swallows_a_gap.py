# rez's union looks at the last range, not at the widest one, when it decides whether '>5' goes on where '1+<5' ends:
# the request becomes 'lib-1+' and rez picks version 5, which was not asked for.
{
    "packages": [
        {"name": "lib", "version": "5"},
    ],
    "requests": ["lib-1+<5|2..3|>5"],
    "options": {},
}
