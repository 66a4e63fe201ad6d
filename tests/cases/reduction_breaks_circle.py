# Orderers of two families make a circle of the keys of three variants: flow-3 < boost-4 < boost-1+ < flow-3. Once the
# second is reduced, the other two are in an order, and rez sorts what is left.
{
    "packages": [
        {"name": "app", "version": "1", "variants": [["flow-3"], ["boost-4", "!zync"], ["boost-1+"]]},
        {"name": "flow", "version": "3"},
        {"name": "boost", "version": "4"},
        {"name": "zync", "version": "1"},
        {"name": "tool", "version": "1", "requires": ["zync"]},
    ],
    "requests": ["app", "tool"],
    "options": {"package_orderers": [{"type": "version_split", "first_version": "2", "packages": ["boost"]}]},
}
