"""List how countries write phone numbers, and the words and signs that stand around numbers."""

import re
from typing import NamedTuple


class Form(NamedTuple):
    """How a country writes numbers of one type.

    `groups` matches the groups of digits, joined by one space. A number with no other signs than
    `weak_signs` between its digits may be anything else, so its area has to exist. None: the form
    is certain. Without `needed_sign`, a number is none of the form.
    """

    region: str
    groups: re.Pattern[str]
    weak_signs: str | None
    needed_sign: str = ""


FORMS = tuple(
    Form(region, re.compile(groups), *signs)
    for region, groups, *signs in (
        ("CN", r"(?:86 ?)?1[3-9]\d(?:\d{8}| ?\d{4} ?\d{4}| \d{3} \d{5}|\d \d{4} \d{3})", None),
        ("GB", r"07\d{3}(?:\d{6}| \d{6}| \d{3} \d{3})|07\d\d \d{4} \d{3}", None),
        ("DE", r"01[5-7]\d{1,2}(?:\d{7,8}| \d{7,8}|(?: \d{2,4}){2,4})", None),
        ("US", r"(?:1 ?)?[2-9]\d\d ?[2-9]\d\d ?\d{4}", " "),
        ("CN", r"[48]00(?: ?\d{3} ?\d{4}| \d{4} \d{3})", " "),
        ("CN", r"(?:86 0?|0)(?:10|2\d|[3-9]\d\d) ?[2-9]\d{2,3} ?\d{4}", ""),
        ("GB", r"0(?:\d\d ?\d{4}|\d{3} ?\d{3}) ?\d{4}|0\d{4} ?\d{5,6}|0\d{4} \d{3} \d{3}", ""),
        ("DE", r"(?=(?:\d ?){9})0\d{2,5}(?: \d{3,9}|(?: \d{2,5}){2,4}|\d{6,8})", " ()/-"),
        ("FR", r"0[1-79](?: \d\d){4}", " .-/"),
        ("RU", r"8 ?[3489]\d\d ?\d{3} ?\d\d ?\d\d", " -"),
        ("BR", r"[1-9]\d 9\d{4} \d{4}", " -"),
        ("BR", r"[1-9]\d (?!(?:19|20)\d\d (?:19|20))[2-5]\d{3} \d{4}", "() -", "("),
        ("JP", r"0(?:[36]|[5789]0) \d{4} \d{4}", " -"),
        ("ES", r"[67]\d\d(?: \d\d){3}", " ."),
    )
)
FICTITIOUS = re.compile(r"(?:1 ?)?(?:555|\d{3} ?555)")  # North American, absent from libphonenumber

# "phone" alone names a product of the shop as well, so that a colon or "number" has to follow.
NAMED_PHONE = re.compile(
    r"(?:\b(?:tel|telephone|whatsapp|fax|call|text me)\b|电话|座机|热线|传真|致电|拨打|联系方式"
    r"|(?:\b(?:phone|mobile|cell)|手机|微信) ?(?:[:：.=]|\b(?:no|number|is)\b|号|是))"
    r"(?:[ :：.#=-]|\b(?:no|number|is|at|on|me)\b|号码?|[码是为])*$",
    re.IGNORECASE,
)
NAMED_CODE = re.compile(
    r"(?:\b(?:isbn(?:-1[03])?|ean|upc|gtin|asin|sku|mpn|item|model|part|order|invoice|ref|reference"
    r"|serial|article|lot|batch|tracking|barcode|code|product|version|zip)\b"
    r"|条形?码|订单|单号|型号|货号|编号|序列号|款号|书号|商品|批号|#)"
    r"(?:[ :：.#-]|\b(?:no|nr|number|num|id|code|is)\b|号码?|编号|[是为])*$",
    re.IGNORECASE,
)
QUANTITY = re.compile(
    r"-?[a-z]|[%°\"'′″]"
    r"| ?(?:ml|cl|l|gb|tb|mb|kg|g|mm|cm|m|ft|w|v|hz|mah|oz|lbs?|pcs|pieces?|sold)\b"
    r"| ?[件个元块人毫厘米克升只台款次名页万亿套]",
    re.IGNORECASE,
)
ZIP_CODE = re.compile(r"\d{5}-\d{4}")
DATE = re.compile(
    r"(?:19|20)\d\d[ ./-]\d{1,2}[ ./-]\d{1,2}|\d{1,2}[ ./-]\d{1,2}[ ./-](?:19|20)\d\d"
)
