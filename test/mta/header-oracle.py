"""Writes encoded words as strangers do, and reads headers with Python's own email package: an implementation of its own.

Standard input is JSON, an array of requests; standard output an array of answers. Bytes are strings of latin-1.

    {"words": text, "charset": ..., "encoding": "B" or "Q", "bytes": n}   words of n bytes each, blind to characters
    {"read": message}    {name: {"text": ..., "addresses": [[display name, address], ...] or null}}

Before 3.13 the newer half of the package (email.policy.default) leaves blanks between the encoded words of a display
name: names are read by the older half, addresses by both.
"""
import base64
import email.policy
import json
import sys
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.utils import getaddresses


def words(request):
    data = request["words"].encode(request["charset"])
    size = request["bytes"] or len(data)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return "\n ".join(word(part, request) for part in parts)


def word(part, request):
    if request["encoding"] == "B":
        text = base64.b64encode(part).decode()
    else:
        text = "".join(chr(b) if chr(b).isalnum() and b < 128 else "=%02X" % b for b in part)
    return "=?%s?%s?%s?=" % (request["charset"], request["encoding"], text)


def read(message):
    parsed = BytesParser(policy=email.policy.default).parsebytes(message.encode("latin-1"))
    seen = {}
    for name in ("Subject", "Comments", "From", "To"):
        try:
            header = parsed[name]
        except Exception as error:
            seen[name] = {"text": repr(error), "addresses": None}
            continue
        if header is None:
            continue
        addresses = getattr(header, "addresses", None)
        pairs = None
        if addresses is not None:
            old = BytesParser().parsebytes(message.encode("latin-1"))
            pairs = [[str(make_header(decode_header(n))), a] for n, a in getaddresses([old[name].replace("\r\n", "")])]
            if [a.addr_spec for a in addresses] != [a for _, a in pairs]:
                pairs = "not the same as " + repr([[a.display_name, a.addr_spec] for a in addresses])
        seen[name] = {"text": str(header), "addresses": pairs}
    return seen


json.dump([words(r) if "words" in r else read(r["read"]) for r in json.load(sys.stdin)], sys.stdout)
