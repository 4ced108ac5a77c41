"""Records one team after the other and says which are saved, until it is killed. Usage: child.py FOLDER KEY-IN-HEXADECIMAL"""

import asyncio
import itertools
import sys

import toso

from phones import record


async def main(folder, key):
    phone = await toso.TosoClient.open(toso.TosoConfig(folder=folder, key=bytes.fromhex(key), device_name=""), None)
    for number in itertools.count(1):
        print("saved", await record(phone, f"Thôn {number}", number), flush=True)


asyncio.run(main(*sys.argv[1:]))
