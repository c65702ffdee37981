"""The canned endpoint (`endpoint.py`) as a process beside the benchmark, over plaintext and TLS, ended with it."""

from __future__ import annotations

import datetime
import ipaddress
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Served:
    """Where it listens, and the file that lets a client trust it."""

    plain: str
    tls: str
    bundle: Path

    def counts(self) -> dict[str, int]:
        """What was written since it was last asked, and how many addresses in it were not at the sink."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.plain}/_/counts") as answer:
            found: dict[str, int] = json.load(answer)
        return found


@contextmanager
def served(
    *, pages: int, page_items: int = 900, cycles: int = 1, rate: float = 0.0, mix: str = "plain"
) -> Iterator[Served]:
    """Runs it for the length of the block."""
    with TemporaryDirectory() as folder:
        certificate, key = _certificate(Path(folder))
        options = {"pages": pages, "page-items": page_items, "cycles": cycles, "rate": rate, "mix": mix}
        command = [sys.executable, str(HERE / "endpoint.py"), "--certificate", str(certificate), "--key", str(key)]
        command += [text for name, value in options.items() for text in (f"--{name}", str(value))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                plain, tls = (server.stdout.readline().strip() for _ in range(2))
                yield Served(plain, tls, certificate)
            finally:
                server.terminate()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
