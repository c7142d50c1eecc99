#!/usr/bin/python3 -B
"""Validates a bill of materials against CycloneDX's JSON schema.

usage: validate_bill.py SCHEMAS BILL
"""

import json
import os
import sys

import jsonschema


def main():
    """Prints every complaint; fails if there is one."""
    schemas, bill = sys.argv[1:]

    def read(path):
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)

    bill = read(bill)
    schema = read(os.path.join(schemas, "bom-%s.SNAPSHOT.schema.json" % bill["specVersion"]))
    # References go to other files beside it, under names of the network.
    store = {}
    base = schema["$id"].rsplit("/", 1)[0]
    for name in os.listdir(schemas):
        if name.endswith(".schema.json"):
            other = read(os.path.join(schemas, name))
            store[other.get("$id", name)] = other
            store[base + "/" + name.replace(".SNAPSHOT", "")] = other
            store[base + "/" + name] = other
    resolver = jsonschema.RefResolver(schema["$id"], schema, store=store)
    validator = jsonschema.Draft7Validator(schema, resolver=resolver)
    errors = sorted(validator.iter_errors(bill), key=lambda error: list(map(str, error.path)))
    for error in errors:
        print("/".join(map(str, error.absolute_path)), error.message[:300])
    if errors:
        sys.exit(1)
    print("valid: %d components" % len(bill["components"]))


if __name__ == "__main__":
    main()
