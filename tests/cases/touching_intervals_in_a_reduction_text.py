# Intervals that touch stay apart in rez's text: reading '1..4|>4' again would join them to '1+'.
{
    "packages": [
        {"name": "lib", "version": "2"},
        {"name": "app", "version": "1", "requires": ["!lib-1..4|2|>4"]},
    ],
    "requests": ["app", "lib"],
    "options": {},
}
