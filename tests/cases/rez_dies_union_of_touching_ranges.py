# rez's union leaves '1..4' and '>4' apart when a range within the first ends open; the inverse of that is an invalid
# bound: VersionError.
{
    "packages": [
        {"name": "lib", "version": "2"},
    ],
    "requests": ["!lib-1..4|2|>4", "lib-2"],
    "options": {},
}
