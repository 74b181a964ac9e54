#!/usr/bin/env python3
"""Check a receipt for an access to personal data, offline, with nothing but Python's standard library.

    python3 verify_receipt.py receipt.zip [public key of the log, from an independent source]

It was written apart from the Go program and must always agree with it. It checks: record -> commitment -> leaf ->
Merkle tree (RFC 6962) -> checkpoint -> Ed25519 signature (RFC 8032). Exit code 0: valid. 1: not valid.
"""
import base64, hashlib, io, json, re, sys, zipfile

MAX_ZIP, MAX_FILE, MAX_TOTAL, MAX_LINES = 4 << 20, 8 << 20, 16 << 20, 200
FIELDS = "activity agency agencyName at basis dossier exchangeId fields hiddenReason hiddenUntil kind purpose register requestId subject subsystem text v".split()
KINDS = {"query": 1, "match": 2, "verify": 3, "self": 4, "internal": 5}


class Invalid(Exception):
    pass


def need(ok, why):
    if not ok:
        raise Invalid(why)


# ---- Ed25519, the slow and plain way ----
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    e, f = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = f - e, d - c, d + c, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def mul(n, point):
    result = (0, 1, 1, 0)
    while n:
        if n & 1:
            result = add(result, point)
        point, n = add(point, point), n >> 1
    return result


def decode_point(b):
    y = int.from_bytes(b, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    need((x * x - x2) % P == 0, "public key is not a point")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def encode_point(p):
    z = pow(p[2], P - 2, P)
    x, y = p[0] * z % P, p[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(key, message, signature):
    s = int.from_bytes(signature[32:], "little")
    need(len(signature) == 64 and s < L, "signature")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    x, y, z, t = decode_point(key)
    point = add(mul(s, BASE), mul(k, (P - x, y, z, P - t)))
    need(encode_point(point) == signature[:32], "signature of the log")


# ---- formats ----
def b64(s):
    raw = base64.b64decode(s, validate=True)
    need(base64.b64encode(raw).decode() == s, "base64")
    return raw


def decimal(s):
    need(re.fullmatch("0|[1-9][0-9]{0,18}", s) and int(s) < 1 << 62, "number")
    return int(s)


def canonical(v):
    return json.dumps(v, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def array(b):
    """A JSON array, one canonical element a line, and nothing else."""
    elements = json.loads(b.decode("utf-8"))
    need(isinstance(elements, list), "not an array")
    need(("[\n" + ",\n".join(map(canonical, elements)) + "\n]\n").encode() == b, "not in canonical form")
    return elements


def unpack(data):
    need(len(data) <= MAX_ZIP, "too long")
    files, total = {}, 0
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        members = z.infolist()
        need(5 <= len(members) <= 4 + MAX_LINES, "number of files")
        names = {"records.json", "salts.json", "vkeys.txt", "README.txt"} | {"line-%04d.tlog-proof" % (i + 1) for i in range(len(members) - 4)}
        need({m.filename for m in members} == names, "a file that does not belong, or is missing")
        for m in members:
            need(m.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), "compression")
            with z.open(m) as f:
                files[m.filename] = f.read(MAX_FILE + 1)
                need(len(files[m.filename]) <= MAX_FILE and f.read(1) == b"", "too long when unpacked")
            total += len(files[m.filename])
    need(total <= MAX_TOTAL, "too long when unpacked")
    return files


def parse_key(b):
    m = re.fullmatch(r"log (([^\s+]+)\+([0-9a-f]{8})\+(\S+))\nquorum none\n", b.decode("utf-8"))
    need(m, "vkeys.txt")
    key = b64(m[4])
    need(len(key) == 33 and key[0] == 1, "kind of key")
    key_id = hashlib.sha256(m[2].encode() + b"\n" + key).digest()[:4]
    need(key_id.hex() == m[3], "key id")
    return m[1], m[2], key_id, key[1:]


def parse_leaf(b):
    values, lengths = [], (1, 8, 8, 1, 32, 16, 32)
    need(len(b) == sum(lengths) + 14, "leaf")
    for i, n in enumerate(lengths):
        need(b[0] == i + 1 and b[1] == n, "leaf")
        values.append(b[2 : 2 + n])
        b = b[2 + n :]
    need(values[0] == b"\x01" and 0 < int.from_bytes(values[1], "big") < 1 << 63, "leaf")
    return int.from_bytes(values[2], "big", signed=True), values[3][0], values[4]


def microseconds(s):
    import datetime
    need(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", s), "time")
    t = datetime.datetime.strptime(s, "%Y-%m-%dT%H:%M:%S.%fZ") - datetime.datetime(1970, 1, 1)
    return (t.days * 86400 + t.seconds) * 1000000 + t.microseconds


def root(leaf_hash, index, size, proof):
    """RFC 9162 section 2.1.3.2, from the leaf up."""
    need(index < size, "index beyond the tree")
    node = lambda left, right: hashlib.sha256(b"\x01" + left + right).digest()
    fn, sn, r = index, size - 1, leaf_hash
    for p in proof:
        need(sn > 0, "proof is too long")
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "proof is too short")
    return r


def check_checkpoint(note, origin, key_id, key):
    need(len(note) <= 16 << 10 and not re.search("[\x00-\x09\x0b-\x1f]", note), "checkpoint")
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    lines = text.split("\n")
    need(len(lines) == 4 and lines[0] == origin and signatures.endswith("\n"), "checkpoint")
    size, want = decimal(lines[1]), b64(lines[2])
    need(len(want) == 32, "root")
    signed, rows = False, signatures[:-1].split("\n")
    need(len(rows) <= 100, "too many signatures")
    for row in rows:
        m = re.fullmatch("\u2014 ([^\\s+]+) (\\S+)", row)
        need(m, "signature line")
        raw = b64(m[2])
        need(len(raw) >= 5, "signature line")
        if m[1] == origin and raw[:4] == key_id and not signed:
            ed25519(key, text.encode(), raw[4:])
            signed = True
    need(signed, "the log has not signed")
    return size, want


def check_line(record, salt, proof, origin, key_id, key):
    need(isinstance(record, dict) and sorted(record) == FIELDS and record["v"] == "truc-access-1", "fields of the record")
    need(all(isinstance(v, str) for k, v in record.items() if k != "fields"), "fields of the record")
    need(isinstance(record["fields"], list) and all(isinstance(f, str) for f in record["fields"]), "fields of the record")
    need(re.fullmatch("[0-9]{12}", record["subject"]) and record["agency"] and record["kind"] in KINDS, "fields of the record")
    if record["hiddenUntil"]:
        microseconds(record["hiddenUntil"])
    need(isinstance(salt, str) and re.fullmatch("[0-9a-f]{32}", salt), "salt")
    data = canonical(record).encode()
    need(len(data) <= 32 << 10, "record is too long")
    head, _, note = proof.decode("utf-8").partition("\n\n")
    m = re.fullmatch(r"c2sp\.org/tlog-proof@v1\nextra ([^\n]+)\nindex ([0-9]+)((?:\n[^\n]+)*)", head)
    need(m, "proof file")
    leaf, index, hashes = b64(m[1]), decimal(m[2]), [b64(h) for h in m[3].split("\n")[1:]]
    need(len(hashes) <= 62 and all(len(h) == 32 for h in hashes), "hashes")
    time, kind, commit = parse_leaf(leaf)
    need(commit == hashlib.sha256(bytes.fromhex(salt) + data).digest(), "the record was changed")
    need(time == microseconds(record["at"]) and kind == KINDS[record["kind"]], "record and leaf disagree")
    size, want = check_checkpoint(note, origin, key_id, key)
    need(root(hashlib.sha256(b"\0" + leaf).digest(), index, size, hashes) == want, "the leaf is not in the tree")
    return index, size


def verify(data):
    files = unpack(data)
    records, salts = array(files["records.json"]), array(files["salts.json"])
    need(0 < len(records) == len(salts) == len(files) - 4, "one salt and one proof for each record")
    vkey, origin, key_id, key = parse_key(files["vkeys.txt"])
    places = [check_line(r, s, files["line-%04d.tlog-proof" % (i + 1)], origin, key_id, key) for i, (r, s) in enumerate(zip(records, salts))]
    return {"origin": origin, "vkey": vkey, "treeSize": max(p[1] for p in places), "indexes": [p[0] for p in places], "records": records}


def main(args):
    if not args:
        print(__doc__)
        return 2
    try:
        report = verify(open(args[0], "rb").read())
    except Exception as e:  # whatever goes wrong, the receipt proves nothing
        print("INVALID / KHÔNG HỢP LỆ: %s" % e)
        return 1
    report["keyTrusted"] = report["vkey"] in args[1:]
    print(json.dumps(report, ensure_ascii=False, indent=1))
    print("VALID / HỢP LỆ" if report["keyTrusted"] else "VALID, but the key is not confirmed / HỢP LỆ, nhưng khóa chưa được xác nhận")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main(sys.argv[1:]))
