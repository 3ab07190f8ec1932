"""The kind of a file by its extension: an image, or a kind that the walk skips and counts.

An image's format is detected from its content later (`workers.images.decode`).
"""

from __future__ import annotations

IMAGE = "image"
OTHER = "other"
RAW = "raw"

# Generators write no RAW files; formats of the other kinds cannot be decoded.
_EXTENSIONS = {
    IMAGE: "jpg jpeg jpe jfif jif mpo png apng webp avif avifs heic heics heif heifs hif gif bmp "
    "dib tif tiff jxl",
    RAW: "3fr ari arw bay cap cr2 cr3 crw dcr dcs dng erf fff gpr iiq k25 kdc mdc mef mos mrw "
    "nef nrw orf pef ptx raf raw rw2 rwl rwz sr2 srf srw x3f",
    "other_image": "ai blp cdr dcx dds dpx emf eps exr fits fli flc hdr icns ico cur indd j2c j2k "
    "jp2 jpc jpf jpm jpx jxr kra pbm pcx pdd pgm pnm ppm ps psb psd qoi ras sgi svg svgz tga "
    "wdp wmf xbm xcf xpm",
    "video": "3g2 3gp asf avi flv hevc insv lrv m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogv "
    "rmvb vob webm wmv",
    "audio": "aac aif aiff amr ape flac m4a mid midi mka mp3 oga ogg opus wav wma",
    "document": "csv doc docx epub htm html json key md numbers odp ods odt pages pdf ppt pptx rtf "
    "tex tsv txt xls xlsx xml yaml yml",
    "sidecar": "aae cos dop ithmb lrprev moff on1 pp3 thm vrd xmp",
    "archive": "7z bz2 dmg gz iso rar tar tgz xz zip zst",
}

_KIND_BY_EXTENSION = {
    extension.encode("ascii"): kind
    for kind, line in _EXTENSIONS.items()
    for extension in line.split()
}


def file_kind(name: bytes) -> str:
    """Return the kind of a file by its name, ignoring case; `none` if it has no extension."""
    stem, dot, extension = name.rpartition(b".")
    if not (dot and stem):
        return "none"
    return _KIND_BY_EXTENSION.get(extension.lower(), OTHER)
