"""Somebody who has the store's key and changes what stands in it: SQLCipher itself then finds nothing wrong."""

import subprocess


def change_store(data, sql):
    """Run the statements on the store in the folder, while no gateway runs; the lines that they print."""
    key = (data / "store.key").read_text().strip()
    # What the key answers by itself goes nowhere.
    opening = f"PRAGMA key = \"x'{key}'\"; PRAGMA cipher_hmac_algorithm = HMAC_SHA256; PRAGMA locking_mode = EXCLUSIVE;"
    text = f".output /dev/null\n{opening}\n.output stdout\n{sql};\n"
    done = subprocess.run(["sqlcipher", "-batch", "-bail", data / "store.db"], input=text, capture_output=True, text=True,
                          timeout=30)  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    return done.stdout.splitlines()
