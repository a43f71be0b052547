"""Makes a venue table from the exception maps of ccxt.

    pip download ccxt==4.5.90 --no-deps && unzip ccxt-4.5.90-py3-none-any.whl -d wheel
    python3 from_ccxt.py wheel/ccxt/binance.py > binance.toml

Takes code keys only, and counts the message keys it leaves out.
"""

import ast
import re
import sys

# ccxt's class would say "did not happen" of what may have happened.
CORRECTED = {
    ("linear", "-4116"): ('"DuplicateOrderId"', "the client order id is in use: an earlier try got through"),
    ("inverse", "-4111"): ('"DuplicateOrderId"', "the transfer id is in use: an earlier try got through"),
    ("portfolioMargin", "-4115"): ('"DuplicateOrderId"', "the transfer id is in use: an earlier try got through"),
    ("portfolioMargin", "-1007"): ('"RequestTimeout"', "no answer from the matching engine in time"),
    ("portfolioMargin", "-2010"): ('{ class = "InvalidOrder", effect = "unknown" }', "one code for every refusal, a duplicate included"),
    ("", "-2010"): ('{ class = "InvalidOrder", effect = "unknown" }', "one code for every refusal, a duplicate included"),
    ("", "-20132"): ('"DuplicateOrderId"', "the id of the algo order is in use: an earlier try got through"),
}


def exceptions(path):
    for node in ast.walk(ast.parse(open(path, encoding="utf-8").read())):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and key.value == "exceptions":
                    return tree(value)
    sys.exit("no exception maps in " + path)


def tree(node):
    if isinstance(node, ast.Dict):
        return {key.value: tree(value) for key, value in zip(node.keys, node.values)}
    return node.id


maps = exceptions(sys.argv[1])
parts = {"": {}}
left_out = 0
for name, part in maps.items():
    shared = name in ("exact", "broad")
    for key, group in {name: part}.items() if shared else part.items():
        for code, meaning in group.items():
            if key == "broad" or not re.fullmatch(r"-?\d+", code):
                left_out += 1
            else:
                parts.setdefault("" if shared else name, {})[code] = meaning

total = sum(map(len, parts.values()))
print("# The error codes of Binance, made from the exception maps of ccxt 4.5.90 by from_ccxt.py.")
print(f"# {total} codes; {left_out} entries that match on words of a message were left out.")
print("# Lines with a comment are corrected: ccxt's own class follows in it.")
print("#")
for line in open(sys.argv[2], encoding="utf-8") if len(sys.argv) > 2 else []:
    print(("# " + line.strip()).strip())
print('\nvenue = "binance"')
for market, codes in parts.items():
    print("\n[codes]" if not market else f"\n[markets.{market}]")
    for code, meaning in sorted(codes.items(), key=lambda pair: -int(pair[0])):
        value, why = CORRECTED.pop((market, code), (f'"{meaning}"', None))
        print(f'"{code}" = {value}' + (f"  # {why} (ccxt: {meaning})" if why else ""))
if CORRECTED:
    sys.exit(f"corrections of codes that are not there: {CORRECTED}")
