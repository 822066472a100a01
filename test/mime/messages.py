"""Makes messages and archives with Python's own modules, and says what they read in them: messages.py DIRECTORY SEED COUNT"""
import email
import email.policy
import hashlib
import io
import json
import os
import random
import sys
import zipfile
from email.message import EmailMessage

directory, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
NAMES = ["a.txt", "report (1).pdf", "übel.exe", "a;b.zip", 'quo"te.doc', "very " * 30 + "long.xlsx", "日本.js", "x'y.tar"]


def data():
    return rng.randbytes(rng.choice([0, 1, 2, 3, 57, 1000, 70000]))


def leaf(message):
    kind = rng.randrange(4)
    if kind == 0:
        message.set_content("plain ü text\n" * rng.randrange(1, 50), cte=rng.choice(["8bit", "quoted-printable", "base64"]))
    elif kind == 1:
        message.set_content("<p>html = Ω   </p>\n" * rng.randrange(1, 50), subtype="html", cte=rng.choice(["8bit", "quoted-printable", "base64"]))
    else:
        message.set_content(data(), maintype="application", subtype=rng.choice(["zip", "octet-stream", "pdf"]), filename=rng.choice(NAMES))
    return message


def message_of(depth):
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "s"
    leaf(message)
    for _ in range(rng.randrange(4)):
        message.make_mixed() if not message.is_multipart() else None
        choice = rng.randrange(3)
        if choice == 0 and depth < 4:
            message.add_attachment(message_of(depth + 1))
        else:
            message.add_attachment(data(), maintype="image", subtype="png", filename=rng.choice(NAMES))
    return message


def read(path):
    with open(path, "rb") as file:
        message = email.message_from_bytes(file.read(), policy=email.policy.SMTP)
    parts = []
    for part in message.walk():
        payload = None if part.is_multipart() else part.get_payload(decode=True)
        parts.append(
            {
                "type": part.get_content_type(),
                "name": part.get_filename(),
                "sha256": None if payload is None else hashlib.sha256(payload).hexdigest(),
            }
        )
    return parts


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as file:
        for number in range(rng.randrange(0, 8)):
            with file.open(f"{number}-{rng.choice(NAMES)}", "w", force_zip64=rng.random() < 0.3) as entry:
                entry.write(data())
    # Something in front of an archive, as in a program that unpacks itself.
    return rng.choice([b"", b"MZ stub " * 20]) + buffer.getvalue()


result = {"messages": [], "archives": []}
for number in range(count):
    path = os.path.join(directory, f"{number}.eml")
    with open(path, "wb") as file:
        file.write(message_of(0).as_bytes())
    result["messages"].append({"path": path, "parts": read(path)})
    path = os.path.join(directory, f"{number}.zip")
    with open(path, "wb") as file:
        file.write(archive())
    with zipfile.ZipFile(path) as file:
        result["archives"].append({"path": path, "files": [[i.filename, i.file_size] for i in file.infolist()]})
json.dump(result, sys.stdout)
