"""What a file looks like from its first bytes: text that nmt reads, or something that has to be
converted first."""

from nmt.errors import NmtError

MAGIC = {  # first bytes -> (what it is, how it becomes text)
    b"\x28\xb5\x2f\xfd": ("a zstd archive", "unpack it first: zstd -d FILE"),
    b"PK\x03\x04": ("a zip archive (or an office document)", "unpack it first: unzip FILE"),
    b"\x1f\x8b": ("packed with gzip", "give it a name that ends in .gz"),
    b"\xfd7zXZ\x00": ("packed with xz", "give it a name that ends in .xz"),
    b"BZh": ("packed with bzip2", "give it a name that ends in .bz2"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it first: 7z x FILE"),
    b"%PDF-": ("a PDF document", "take the text out first: pdftotext FILE"),
    b"PAR1": ("a parquet file", "give it a name that ends in .parquet"),
}
BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
# share of zeros at even or at odd places from which text is taken for UTF-16: of Latin letters all
# are
ZEROS = 0.4


def refuse_other_formats(start: bytes, name: str) -> None:
    """Looks at the first bytes of a file, some thousand or all of them.

    Raises:
        NmtError: they are no lines of UTF-8; with the command that converts them.
    """
    for magic, (what, cure) in MAGIC.items():
        if start.startswith(magic):
            raise NmtError(f"{name}: {what}, not plain text; {cure.replace('FILE', name)}")
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            raise NmtError(
                f"{name}: looks like {encoding}: it begins with the byte order mark"
                f" {mark.hex(' ')}; {_recode(encoding, name)}"
            )
    even, odd = start[::2].count(0), start[1::2].count(0)
    few, many = sorted((even, odd))
    if (
        many >= 4 and many > ZEROS * len(start) / 2 and few < many / 10
    ):  # NUL is a control character that lines may hold
        encoding = "UTF-16LE" if odd > even else "UTF-16BE"
        raise NmtError(
            f"{name}: looks like {encoding}: {many} of its first {len(start)} bytes are zero;"
            f" {_recode(encoding, name)}"
        )
    if b"\n" not in start and start[:-1].count(b"\r") > 1:
        raise NmtError(
            f"{name}: its lines end with carriage returns alone; convert it: tr '\\r' '\\n' <"
            f" {name} > NEW"
        )


def _recode(encoding: str, name: str) -> str:
    return f"convert it: iconv -f {encoding} -t UTF-8 {name} > NEW"
