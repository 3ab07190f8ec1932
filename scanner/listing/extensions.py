"""What a file is by its name: an image to look at, or a kind that is counted as skipped.

Only the walk uses this; what an image really is, its content decides (`workers.images.decode`).
"""

from __future__ import annotations

IMAGE = "image"
OTHER = "other"

# AI pictures are not made in RAW, and no format below `image` is decoded here.
_SUFFIXES = {
    IMAGE: "jpg jpeg jpe jfif jif mpo png apng webp avif avifs heic heics heif heifs hif gif bmp "
    "dib tif tiff",
    "raw": "3fr ari arw bay cap cr2 cr3 crw dcr dcs dng erf fff gpr iiq k25 kdc mdc mef mos mrw "
    "nef nrw orf pef ptx raf raw rw2 rwl rwz sr2 srf srw x3f",
    "other_image": "ai blp cdr dcx dds dpx emf eps exr fits fli flc hdr icns ico cur indd j2c j2k "
    "jp2 jpc jpf jpm jpx jxl jxr kra pbm pcx pdd pgm pnm ppm ps psb psd qoi ras sgi svg svgz tga "
    "wdp wmf xbm xcf xpm",
    "video": "3g2 3gp asf avi flv hevc insv lrv m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogv "
    "rmvb vob webm wmv",
    "audio": "aac aif aiff amr ape flac m4a mid midi mka mp3 oga ogg opus wav wma",
    "document": "csv doc docx epub htm html json key md numbers odp ods odt pages pdf ppt pptx rtf "
    "tex tsv txt xls xlsx xml yaml yml",
    "sidecar": "aae cos dop ithmb lrprev moff on1 pp3 thm vrd xmp",
    "archive": "7z bz2 dmg gz iso rar tar tgz xz zip zst",
}

_KIND_BY_SUFFIX = {
    suffix.encode("ascii"): kind for kind, line in _SUFFIXES.items() for suffix in line.split()
}


def kind_of(name: bytes) -> str:
    """The kind of the file of this name, in any case of letters; `none` where it has no suffix."""
    stem, dot, suffix = name.rpartition(b".")
    if not (dot and stem):
        return "none"
    return _KIND_BY_SUFFIX.get(suffix.lower(), OTHER)
