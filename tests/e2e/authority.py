"""What the throw-away authority of tests/pki.sh can do beyond its usual: any dates, lists of revoked certificates, pins."""

import base64
import hashlib
import subprocess

from common import TESTS

CONFIGURATION = """\
[ca]
default_ca=one
[one]
database={folder}/index
new_certs_dir={folder}
rand_serial=yes
default_md=sha256
default_crl_days=30
policy=any
[any]
commonName=supplied
[server]
extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost
[client]
extendedKeyUsage=clientAuth
"""


def issue(pki, name, *words):
    """pki/name.pem and .key; words as for tests/pki.sh: usage, common name, SAN. Returns pki/name."""
    subprocess.run([TESTS / "pki.sh", pki, name, *words], check=True)
    return pki / name


def authority(pki, name):
    """The words of `openssl ca` for this authority, with a register of its own for each use."""
    folder = pki / f"{name}-register"
    folder.mkdir(exist_ok=True)
    (folder / "index").write_text("", encoding="ascii")
    (folder / "index.attr").write_text("unique_subject = no\n", encoding="ascii")
    (folder / "ca.conf").write_text(CONFIGURATION.format(folder=folder), encoding="ascii")
    return ["openssl", "ca", "-batch", "-config", folder / "ca.conf", "-cert", pki / "ca.pem", "-keyfile", pki / "ca.key"]


def issue_for_dates(pki, name, start, end, usage="server", subject="localhost"):
    """A certificate that is valid between two dates such as 20200101000000Z."""
    issue(pki, name, usage, subject)
    request = pki / f"{name}.request"
    subprocess.run(
        ["openssl", "req", "-new", "-key", pki / f"{name}.key", "-subj", f"/CN={subject}", "-out", request], check=True
    )
    subprocess.run(
        [*authority(pki, name), "-notext", "-extensions", usage, "-startdate", start, "-enddate", end, "-in", request,
         "-out", pki / f"{name}.pem"],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return pki / name


def revoke(pki, name, *revoked, start="20200101000000Z", end="20980101000000Z"):
    """The authority's list of revoked certificates, in force between these dates; returns its path, pki/name.pem."""
    words = authority(pki, name)
    for certificate in revoked:
        subprocess.run([*words, "-revoke", pki / f"{certificate}.pem"], check=True, stderr=subprocess.DEVNULL)
    made = pki / f"{name}.new"
    subprocess.run(
        [*words, "-gencrl", "-crl_lastupdate", start, "-crl_nextupdate", end, "-out", made],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return made.replace(pki / f"{name}.pem")


def pin(certificate):
    """The pin of the key in a PEM file, made without any code of ours."""
    public = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, stdout=subprocess.PIPE
    ).stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], check=True, input=public, stdout=subprocess.PIPE
    ).stdout
    return "sha256:" + base64.b64encode(hashlib.sha256(der).digest()).decode("ascii")
