"""Calling codes of countries and how many digits follow them: what a number behind 00 is held against."""

from __future__ import annotations

_CODES = {
    (5, 8): "247 290 500 676 677 678 682 683 685 686 688 690",
    (6, 7): "239 246 248 269 291 297 298 299 501 597 672 673 674 679 680 681 687 691 692",
    (7, 8): "216 222 223 226 227 228 230 232 235 236 238 241 253 257 266 267 268 350 356 357 370 371 372 373"
    " 374 382 389 502 503 504 505 506 507 509 591 592 598 599 670 675 689 852 853 960 961 965 968 973 974 975"
    " 993",
    (7, 9): "32 36 47 45 46 48 51 65 66 213 220 224 231 250 252 254 258 264 265 354 355 359 376 377 385 386"
    " 387 421 423 593 595 855 886 962 963 967 970 971 972",
    (8, 10): "20 27 53 57 60 63 64 82 84 95 98 243 353 358 378 381 383 850 856 964 976 977",
    (8, 11): "39 55 62 86 352",
    (9, 9): "33 34 41 56 61 93 94 211 212 218 221 233 237 240 242 244 245 249 251 255 256 260 261 262 263 351"
    " 375 380 420 508 590 594 596 966 992 994 995 996 998",
    (9, 10): "31 40 44 81 92",
    (9, 11): "49 54",
    (10, 10): "1 7 30 52 58 90 91 225 229 234 880",
    (10, 12): "43",
}  # fmt: skip
"""By the least and the most digits behind the code that subscribers and mobiles usually have: the codes that
ITU-T assigned by E.164 (2024) with the national numbering plans. No code begins another one."""
_USUAL = {code: sizes for sizes, codes in _CODES.items() for code in codes.split()}


def is_dialled(digits: str) -> bool:
    """Say whether digits are 00, a country's calling code and as many digits as its numbers usually have."""
    if not digits.startswith("00"):
        return False
    for end in (3, 4, 5):
        if sizes := _USUAL.get(digits[2:end]):
            return sizes[0] <= len(digits) - end <= sizes[1]
    return False


def code_of(digits: str, *, certain: bool) -> str:
    """Return the calling code that digits begin with; empty where none fits.

    Args:
        digits: Without 00 or + before them.
        certain: Whether they surely begin with one; else as many have to follow as usual.
    """
    for end in (1, 2, 3):
        sizes = _USUAL.get(digits[:end])
        if sizes and (certain or sizes[0] <= len(digits) - end <= sizes[1]):
            return digits[:end]
    return ""
