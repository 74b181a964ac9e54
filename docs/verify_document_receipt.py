#!/usr/bin/env python3
"""Check a receipt for a hand-over of an official document, offline. Python's standard library; openssl for the time-stamp.

    python3 verify_document_receipt.py receipt.json [-anchor KEYID] [-tsa roots.pem]

It was written apart from the Go program and must always agree with it. It checks: the file's own digest; the directory's
signature (Ed25519) by the key -anchor, or, without it, by one of the keys it names; the JWS (RFC 7515, EdDSA or ES256) by
a key that this directory has for the issuing node; the path from the JWS to the root of the batch (RFC 6962); and the
RFC 3161 token over that root (openssl ts -verify). Exit code 0: valid. 1: not valid.
"""
import base64, hashlib, json, os, re, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from verify_evidence import verify_with
from verify_receipt import Invalid, b64, need, root

ALGORITHMS = {"EdDSA": "ed25519", "ES256": "ecdsa-p256-sha256"}
EVENTS = ("accepted", "delivered", "opened", "refused")


def b64url(s):
    raw = base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))
    need(base64.urlsafe_b64encode(raw).decode().rstrip("=") == s, "base64url")
    return raw


def canonical(raw):
    v = json.loads(raw)
    need(json.dumps(v, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() == raw, "not in canonical form")
    return v


def key_id(spki):
    return base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).decode().rstrip("=")


def open_directory(raw, anchor):
    """The bytes between the names of the two members are those that were signed."""
    need(raw.startswith(b'{"document":') and raw.rstrip().endswith(b"]}"), "directory")
    cut = raw.rindex(b',"signatures":[')
    document, signatures = raw[len(b'{"document":') : cut], json.loads(raw[cut + len(b',"signatures":') : -1])
    doc = canonical(document)
    keys = {k["key_id"]: b64(k["spki"]) for k in doc["directory_keys"]}
    for s in signatures:
        if s["key_id"] not in keys or anchor not in (None, s["key_id"]):
            continue
        need(key_id(keys[s["key_id"]]) == s["key_id"], "key id of the directory")
        verify_with(keys[s["key_id"]], "ed25519", b"truc-directory-document-v1\n" + document, b64(s["sig"]))
        return doc
    raise Invalid("the directory is not signed by the key of the network")


def verify(data, anchor=None, tsa=None, openssl="openssl"):
    m = re.fullmatch(rb'(\{\n"format":"truc-document-receipt-v1",\n"jws":"([^"]*)",\n(?:"stamp":(\{[^\n]*\}),\n)?"directory":(\{.*\})),\n"seal":"([0-9a-f]{64})"\n\}\n', data, re.S)
    need(m, "form of the file")
    need(hashlib.sha256(m[1]).hexdigest() == m[5].decode(), "the file was changed")
    jws, stamp = m[2].decode(), json.loads(m[3]) if m[3] else None
    parts = jws.split(".")
    need(len(parts) == 3, "signed part")
    head, claims, sig = canonical(b64url(parts[0])), canonical(b64url(parts[1])), b64url(parts[2])
    need(head["typ"] == "truc-document-receipt+jws" and claims["v"] == 1 and claims["event"] in EVENTS, "kind")
    doc = open_directory(m[4], anchor)
    found = [(n["id"], k) for n in doc["nodes"] for k in n["keys"] if k["key_id"] == head["kid"]]
    need(len(found) == 1 and found[0][0] == claims["iss"], "the key is not of the issuing node")
    spki = b64(found[0][1]["spki"])
    need(key_id(spki) == head["kid"], "key id")
    verify_with(spki, ALGORITHMS[head["alg"]], (parts[0] + "." + parts[1]).encode(), sig)
    if stamp:
        leaf = hashlib.sha256(b"\0" + jws.encode()).digest()
        need(0 <= stamp["index"] < stamp["size"] <= 512, "place")
        top = root(leaf, stamp["index"], stamp["size"], [b64(h) for h in stamp["path"]])
        text = b"truc-document-receipts-v1\n%d\n%s\n" % (stamp["size"], base64.b64encode(top))
        with tempfile.TemporaryDirectory() as d:
            names = [os.path.join(d, n) for n in ("text", "token", "roots.pem")]
            for name, b in zip(names, (text, b64(stamp["token"]), stamp["roots"].encode())):
                with open(name, "wb") as f:
                    f.write(b)
            cmd = [openssl, "ts", "-verify", "-data", names[0], "-token_in", "-in", names[1], "-CAfile", tsa or names[2]]
            r = subprocess.run(cmd, capture_output=True, text=True)
            need("Verification: OK" in r.stdout, "time-stamp: " + r.stderr.strip())
    return claims, bool(stamp)


def main(argv):
    opts, files = {}, []
    args = iter(argv)
    for a in args:
        if a in ("-anchor", "-tsa"):
            opts[a[1:]] = next(args)
        else:
            files.append(a)
    try:
        with open(files[0], "rb") as f:
            claims, stamped = verify(f.read(), **opts)
    except (Invalid, ValueError, KeyError, TypeError, IndexError) as e:
        print("NOT VALID:", e)
        return 1
    for k in ("at", "event", "documentId", "from", "to", "docId", "copyId", "sha256", "iss", "reason"):
        print("%-11s %s" % (k, claims[k]))
    print("valid;", "time-stamped" if stamped else "time-stamp pending")
    if "anchor" not in opts:
        print("the directory was held only against itself: give -anchor with the key id of the network from another source")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
