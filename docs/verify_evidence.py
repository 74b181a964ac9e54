#!/usr/bin/env python3
"""Check an evidence package of the exchange, offline. Python's standard library; openssl for time-stamps.

    python3 verify_evidence.py package.zip [-keys keys.json] [-tsa roots.pem]

It was written apart from the Go program and must always agree with it. It checks for each entry: bytes -> leaf -> Merkle
tree (RFC 6962) -> checkpoint -> signature of the log; cosignatures of witnesses (C2SP tlog-cosignature); the RFC 3161
token over the checkpoint (openssl ts -verify); the parties' signatures (RFC 9421) and that the entry says what was
signed; for bodies that streamed, the second signature (x1t) after the body; bodies against their digests. Keys come from directory.json in the package, whose own signature is checked
against the keys in it, or from keys.json: {"key id": {"server": id, "spki": base64}}, {"log VN/...": vkey}.
Exit code 0: valid. 1: not valid.
"""
import base64, hashlib, io, json, os, re, subprocess, sys, tempfile, zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from verify_receipt import Invalid, b64, decimal, ed25519, need, root

MAX = 256 << 20


def unpack(data):
    files, left = {}, MAX
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        need(len(z.infolist()) <= 1000, "too many files")
        for m in z.infolist():
            with z.open(m) as f:
                b = f.read(left + 1)
            left -= len(b)
            need(left >= 0 and m.filename not in files, "too long, or a file twice")
            files[m.filename] = b
    manifest = json.loads(files.pop("manifest.json"))
    need(manifest["format"] == "truc-evidence-2", "format")
    need({n: hashlib.sha256(b).hexdigest() for n, b in files.items()} == manifest["files"], "files are not those of the manifest")
    return manifest, files


# ---- P-256 (FIPS 186-5), the slow and plain way ----
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296, 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


def p256_add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        m = (3 * a[0] * a[0] - 3) * pow(2 * a[1], P - 2, P) % P
    else:
        m = (b[1] - a[1]) * pow(b[0] - a[0], P - 2, P) % P
    x = (m * m - a[0] - b[0]) % P
    return x, (m * (a[0] - x) - a[1]) % P


def p256_mul(n, point):
    result = None
    while n:
        if n & 1:
            result = p256_add(result, point)
        point, n = p256_add(point, point), n >> 1
    return result


def p256(point, message, sig):
    need(len(sig) == 64, "signature")
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    r, s = int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big")
    need((y * y - x * x * x + 3 * x - B) % P == 0 and 0 < r < N and 0 < s < N, "signature")
    w, e = pow(s, N - 2, N), int.from_bytes(hashlib.sha256(message).digest(), "big")
    q = p256_add(p256_mul(e * w % N, G), p256_mul(r * w % N, (x, y)))
    need(q is not None and q[0] % N == r, "signature of a party")


def verify_with(spki, alg, message, sig):
    if alg == "ed25519":
        need(spki[:12] == bytes.fromhex("302a300506032b6570032100") and len(spki) == 44, "kind of key")
        ed25519(spki[12:], message, sig)
    elif alg == "ecdsa-p256-sha256":
        need(spki[:27] == bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") and len(spki) == 91, "kind of key")
        p256(spki[27:], message, sig)
    else:
        need(False, "algorithm")


def verify_value(spki, alg, base, value):
    """A plain signature, or one over the root of a tree of signature bases (alg ends in -mt)."""
    if not alg.endswith("-mt"):
        return verify_with(spki, alg, base, value)
    need(68 <= len(value) <= 4 + 8 * 32 + 64 and (len(value) - 68) % 32 == 0, "shared signature")
    index, count = int.from_bytes(value[:2], "big"), int.from_bytes(value[2:4], "big")
    need(index < count <= 256, "shared signature")
    path = [value[i : i + 32] for i in range(4, len(value) - 64, 32)]
    top = root(hashlib.sha256(b"\0" + base).digest(), index, count, path)
    text = "truc-shared-signature/v1\n%d\n%s\n" % (count, base64.b64encode(top).decode())
    verify_with(spki, alg[:-3], text.encode(), value[-64:])


# ---- notes ----
def note_lines(note):
    text, _, tail = note.partition("\n\n")
    need(tail.endswith("\n") and "\n\n" not in tail and len(note) <= 16 << 10, "note")
    rows = []
    for row in tail[:-1].split("\n"):
        m = re.fullmatch("\u2014 ([^\\s+]+) (\\S+)", row)
        need(m, "signature line")
        rows.append((m[1], b64(m[2]), row))
        need(len(rows[-1][1]) >= 5, "signature line")
    return text + "\n", rows


def vkey(s, kind):
    name, key_id, raw = s.split("+", 2)
    raw = b64(raw)
    need(len(raw) == 33 and raw[0] == kind and hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() == key_id, "verifier key")
    return name, bytes.fromhex(key_id), raw[1:]


def checkpoint(note, key):
    """Returns size, root and the note with the log's own signature alone."""
    name, key_id, pub = vkey(key, 1)
    text, rows = note_lines(note)
    lines = text.split("\n")
    need(len(lines) == 4 and lines[0] == name, "checkpoint")
    own = [row for n, raw, row in rows if n == name and raw[:4] == key_id]
    need(len(own) == 1, "the log has not signed once")
    ed25519(pub, text.encode(), b64(own[0].rpartition(" ")[2])[4:])
    return decimal(lines[1]), b64(lines[2]), text + "\n" + own[0] + "\n"


def cosigned(note, key):
    name, key_id, pub = vkey(key, 4)
    text, rows = note_lines(note)
    mine = [raw for n, raw, _ in rows if n == name and raw[:4] == key_id]
    need(len(mine) == 1 and len(mine[0]) == 76, "cosignature")
    at = int.from_bytes(mine[0][4:12], "big")
    ed25519(pub, ("cosignature/v1\ntime %d\n" % at).encode() + text.encode(), mine[0][12:])
    return at


def stamped(files, c, roots):
    name = "checkpoints/%d." % c["size"]
    with tempfile.TemporaryDirectory() as d:
        for n, b in (("data", files[name + "stamped"]), ("token", files[name + "tst"]), ("roots", roots), ("chain", files["tsa/chain.pem"])):
            with open(os.path.join(d, n), "wb") as f:
                f.write(b)
        p = lambda n: os.path.join(d, n)
        done = subprocess.run(["openssl", "ts", "-verify", "-data", p("data"), "-in", p("token"), "-token_in", "-CAfile", p("roots"), "-untrusted", p("chain")], capture_output=True)
        need(done.returncode == 0, "time-stamp: " + done.stderr.decode(errors="replace"))


# ---- entries ----
def trust(files, keys):
    if keys:
        return {k: (v["server"], b64(v["spki"])) for k, v in keys.items() if not k.startswith("log ")}, {k[4:]: v for k, v in keys.items() if k.startswith("log ")}, None
    raw = files["directory.json"]
    start = raw.index(b'{"document":') + len(b'{"document":')
    doc, end = json.JSONDecoder().raw_decode(raw[start:].decode())
    body = raw[start : start + len(raw[start:].decode()[:end].encode())]
    sigs, pubs = json.loads(raw)["signatures"], {k["key_id"]: b64(k["spki"]) for k in doc["directory_keys"]}
    need(sigs and any(s["key_id"] in pubs for s in sigs), "the directory is not signed")
    for s in sigs:
        if s["key_id"] in pubs:
            verify_with(pubs[s["key_id"]], "ed25519", b"truc-directory-document-v1\n" + body, b64(s["sig"]))
    party = {k["key_id"]: (n["id"], b64(k["spki"])) for n in doc["nodes"] for k in n["keys"]}
    return party, {n["id"]: n["log_key"] for n in doc["nodes"]}, {w["key"] for w in doc["witnesses"] or []}


PENDING = "pending"  # the digest of a body that streams, in the entry made before it moved


def body_fields(value):
    """What was signed about a body: its digest, or that it streams."""
    return ("", "stream") if value == PENDING else (value, "")


def checked_key(e, parties):
    server, spki = parties[e["key_id"]]
    need(base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).rstrip(b"=").decode() == e["key_id"], "key id")
    is_request = e["direction"] in ("request", "request-body")
    need(server == (e["node"] if (e["role"] == "consumer") == is_request else e["peer"]), "signed by another node")
    alg = re.search(r';alg="([^"]+)"', e["base"].rpartition("\n")[2])
    need(alg, "algorithm")
    return spki, alg[1]


def trailer_signature(e, head, parties):
    """The signature after a streamed body: over the signature of the head and the digest."""
    need(head is not None, "there is no entry that this one completes")
    if not e["signature"]:
        return "not provided"
    spki, alg = checked_key(e, parties)
    need(not alg.endswith("-mt"), "algorithm")
    verify_with(spki, alg, e["base"].encode(), b64(e["signature"]))
    digest = e["request_digest" if e["direction"] == "request-body" else "response_digest"]
    lines = e["base"].split("\n")
    need(e["key_id"] == head["key_id"], "head and body are signed with different keys")
    need(len(lines) == 3 and lines[0] == '"signature";key="x1": :%s:' % head["signature"] and lines[1] == '"content-digest";tr: ' + digest, "another body was signed")
    same = ["service", "client", "method", "path", "node", "peer", "activity", "basis", "dossier", "exchange_id"] + ["status"] * (e["direction"] == "response-body")
    need(all(e[k] == head[k] for k in same), "the entry says something else than the one it completes")
    return "good"


def unconfirmed(entries, report):
    """Heads whose body nobody vouched for; a request that was refused needs no body."""
    good, out = {i for i, r in report if r["signature"] == "good"}, []
    for i, e in entries.items():
        if e["direction"] not in ("request", "response") or e[e["direction"] + "_digest"] != PENDING:
            continue
        mates = {n: x for n, x in entries.items() if (x["role"], x["request_id"]) == (e["role"], e["request_id"])}
        if any(x["direction"] == e["direction"] + "-body" and n in good for n, x in mates.items()):
            continue
        answer = next((x for x in mates.values() if x["direction"] == "response"), None)
        refused = answer and (answer["outcome"] != "ok" or answer["request_digest"] == PENDING and answer["status"] >= 400)
        if not (e["direction"] == "request" and refused):
            out.append(i)
    return out


def signature(e, person, request, parties):
    if not e["signature"]:
        return "not provided"
    base = e["base"]
    if e["user"]:
        if not person:
            return "not provided"
        base = re.sub(r'(?m)^("x-road-userid": )\[sealed\]$', lambda m: m[1] + person, base, count=1)
    spki, alg = checked_key(e, parties)
    verify_value(spki, alg, base.encode(), b64(e["signature"]))
    is_request = e["direction"] == "request"
    pairs = [line.partition(": ")[::2] for line in base.split("\n")]
    lines = dict(pairs)
    need(len(lines) == len(pairs), "a component twice")
    get = lambda n: lines.get('"%s"' % n, "")
    want = {"x-road-id": e["exchange_id"]}
    if is_request:
        want.update({"@method": e["method"], "x-road-client": e["client"], "x-road-request-id": e["request_id"], "x-road-issue": e["dossier"], "truc-grant": e["grant"]})
        want["content-digest"], want["truc-body"] = body_fields(e["request_digest"])
        uri = get("@target-uri")
    else:
        need(request is not None, "the request's entry is missing")
        want.update({"x-road-service": e["service"], "@status": str(e["status"])})
        want["content-digest"], want["truc-body"] = body_fields(e["response_digest"])
        asked = request["request_digest"]
        digest, stream = body_fields(asked)
        need(lines.get('"@method";req') == e["method"] and lines.get('"content-digest";req', "") == digest and lines.get('"truc-body";req', "") == stream, "the answer is to another request")
        need(asked == PENDING or e["request_digest"] == asked, "the answer is to another body")
        want["truc-request-digest"] = e["request_digest"] if asked == PENDING != e["request_digest"] else ""
        need(lines.get('"signature";req;key="x1"') == ":" + request["signature"] + ":", "the answer is to another request")
        need(get("x-road-error") == ("" if e["outcome"] == "ok" else e["outcome"]), "outcome")
        uri = lines.get('"@target-uri";req', "")
    for name, value in want.items():
        need(get(name) == value, name + " is not what was signed")
    path = re.sub("^https://[^/]+", "", uri)
    need(path == e["path"] and (path + "/").startswith("/x1/" + e["service"] + ("/" if "?" not in path else "")) or path.startswith("/x1/" + e["service"] + "?"), "target")
    return "good"


def check_entry(m, files, item, entries, parties, logs):
    raw = files[item["entry"]]
    e = entries[item["index"]]
    need(e["node"] == m["node"] and e["exchange_id"] == m["exchange_id"], "entry of another exchange")
    need(raw == json.dumps(e, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode(), "not in canonical form")
    head, _, note = files[item["receipt"]].decode().partition("\n\n")
    r = re.fullmatch(r"c2sp\.org/tlog-proof@v1\nindex ([0-9]+)((?:\n[^\n]+)*)", head)
    need(r and decimal(r[1]) == item["index"], "receipt")
    hashes = [b64(h) for h in r[2].split("\n")[1:]]
    size, want, bare = checkpoint(note, logs[m["node"]])
    need(root(hashlib.sha256(b"\0" + raw).digest(), item["index"], size, hashes) == want, "the entry is not in the tree")
    out = {"inclusion": "good", "witnesses": "not provided", "timestamp": "not provided", "body": "not provided"}
    mate = lambda d: next((x for x in entries.values() if x["role"] == e["role"] and x["request_id"] == e["request_id"] and x["direction"] == d), None)
    if e["direction"].endswith("-body"):
        out["signature"] = trailer_signature(e, mate(e["direction"][: -len("-body")]), parties)
    else:
        need(e["direction"] in ("request", "response"), "direction")
        out["signature"] = signature(e, item.get("person"), mate("request"), parties)
    if item.get("body"):
        digest = e["request_digest" if e["direction"].startswith("request") else "response_digest"]
        need(digest == "sha-256=:%s:" % base64.b64encode(hashlib.sha256(files[item["body"]]).digest()).decode(), "body")
        out["body"] = "good"
    return out, size, note, bare


def verify(data, keys=None, tsa=None):
    m, files = unpack(data)
    parties, logs, witnesses = trust(files, keys)
    need(m["entries"], "no entries")
    entries = {i["index"]: json.loads(files[i["entry"]]) for i in m["entries"]}
    confirmed = {c["size"]: c for c in m["checkpoints"]}
    report, ok, done, answered, unanswered = [], True, set(), set(), set()
    for item in m["entries"]:
        out, size, note, bare = check_entry(m, files, item, entries, parties, logs)
        if item["checkpoint"]:
            c, name = confirmed[item["checkpoint"]], "checkpoints/%d." % item["checkpoint"]
            need(size == c["size"] and files[name + "note"].decode() == note, "the receipt leads to another checkpoint")
            at = entries[item["index"]]["at"] // 1000000
            for w in c["witnesses"]:
                need(witnesses is None or w["key"] in witnesses, "no witness of the network")
                need(cosigned(note, w["key"]) + 300 >= at, "cosigned before the entry was made")
                out["witnesses"] = "good"
            if c["stamped"]:
                need(files[name + "stamped"].decode() == bare, "the time-stamp is over another checkpoint")
                if c["size"] not in done:
                    stamped(files, c, tsa or files["tsa/roots.pem"])
                    done.add(c["size"])
                out["timestamp"] = "good"
        e = entries[item["index"]]
        if e["direction"] == "response" and not e["signature"] and e["outcome"] != "ok":
            unanswered.add(e["role"])  # a provider that died is asked again elsewhere under the same id: one answer is enough
        else:
            ok = ok and out["signature"] == "good"
            if e["direction"] == "response" and out["signature"] == "good":
                answered.add(e["role"])
        report.append((item["index"], out))
    ok = ok and unanswered <= answered
    for index in unconfirmed(entries, report):
        ok = False
        for i, out in report:
            if i == index and out["signature"] == "good":
                out["signature"] = "not provided"
    return ok, report


def main(args):
    keys = tsa = None
    if "-keys" in args:
        with open(args.pop(args.index("-keys") + 1)) as f:
            keys = json.load(f)
        args.remove("-keys")
    if "-tsa" in args:
        with open(args.pop(args.index("-tsa") + 1), "rb") as f:
            tsa = f.read()
        args.remove("-tsa")
    if len(args) != 2:
        sys.exit(__doc__)
    try:
        with open(args[1], "rb") as f:
            ok, report = verify(f.read(), keys, tsa)
    except Exception as e:  # whatever is wrong with the file, it proves nothing
        print("not valid:", type(e).__name__, e)
        return 1
    for index, out in report:
        print(index, " ".join("%s=%s" % (k, v.replace(" ", "_")) for k, v in sorted(out.items())))
    print("valid" if ok else "not complete: a signature cannot be checked with what was exported")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
