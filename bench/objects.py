"""How fast the beginnings of objects come from a store that takes a while to answer.

`python bench/objects.py [--objects N]`: a server of its own, in a process of its own, answers every
request after 20 ms. Objects a second: one by one by boto3 and by obstore, and as a worker does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

LATENCY_SECONDS = 0.02
ONE_BY_ONE = 200
"""Objects that are read one after the other."""
_PAGE = 1_000
_HEAD = 'Content-Length: {}\r\nETag: "1"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n'
_LISTED = (
    "<Contents><Key>a/{:06}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    '<ETag>"1"</ETag><Size>{}</Size></Contents>'
)


def serve(n_objects: int) -> None:
    """Answer as S3 does to listings and ranges, and print the port."""
    from dicomhouse.testing import dataset_bytes

    body = dataset_bytes(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2))

    def page(target: str) -> bytes:
        asked = parse_qs(urlsplit(target).query)
        begin = int(asked.get("continuation-token", ["0"])[0])
        end = min(begin + _PAGE, n_objects)
        more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < n_objects else ""
        listed = "".join(_LISTED.format(number, len(body)) for number in range(begin, end))
        return (
            f"<ListBucketResult><Name>bucket</Name><KeyCount>{end - begin}</KeyCount>"
            f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{listed}</ListBucketResult>"
        ).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readline():
            headers = {}
            while (line := await reader.readline()).strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            await asyncio.sleep(LATENCY_SECONDS)
            target = request.decode().split(" ")[1]
            if "list-type" in target:
                content, status, ranged = page(target), "200 OK", ""
            else:
                first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
                content, status = body[first : last + 1], "206 Partial Content"
                ranged = f"Content-Range: bytes {first}-{first + len(content) - 1}/{len(body)}\r\n"
            head = f"HTTP/1.1 {status}\r\n{_HEAD.format(len(content))}{ranged}\r\n"
            writer.write(head.encode() + content)
            await writer.drain()
        writer.close()

    async def forever() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1_000)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(forever())


def rate(what: str, read: Callable[[Any], Any], of: Iterable[Any], n: int, beside: float) -> float:
    begun = time.perf_counter()
    for one in of:
        read(one)
    reached = n / (time.perf_counter() - begun)
    ratio = f"  {reached / beside:5.1f} times" if beside else ""
    print(f"{what:<28}{reached:8,.0f}/s{ratio}", flush=True)
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.objects)
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", "--objects", str(chosen.objects)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        os.environ |= {
            "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        import boto3

        from dicomhouse.sources import objects, opening

        begun = time.perf_counter()
        found = list(objects.find("s3://bucket"))
        places = [f"s3://bucket/{f.folder}/{name}" for f in found for name in f.names.split("/")]
        print(f"{len(places):,} listed in {time.perf_counter() - begun:.1f} s")
        few, client = places[:ONE_BY_ONE], boto3.client("s3")

        def by_boto3(place: str) -> bytes:
            named = {"Bucket": "bucket", "Key": place.removeprefix("s3://bucket/")}
            content: bytes = client.get_object(**named, Range="bytes=0-16383")["Body"].read()
            return content

        rate("boto3, one by one", by_boto3, few, len(few), 0)
        one = rate("obstore, one by one", objects.open_object, few, len(few), 0)
        rate("as a worker opens them", lambda o: o(), opening.openers(places), len(places), one)
    finally:
        server.kill()


if __name__ == "__main__":
    main()
