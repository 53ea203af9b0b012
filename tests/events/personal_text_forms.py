"""Write personal data in the forms that people use, from a random generator.

The numbers are random, with true check digits computed here, not by the libraries that find them.
"""

import random
from collections.abc import Callable

# A form returns personal data, or words that name its kind and the data.
Form = Callable[[random.Random], str | tuple[str, str]]

FULL_WIDTH = str.maketrans("0123456789@", "０１２３４５６７８９＠")
NAMES = (
    "ann",
    "bob",
    "li.wei",
    "j.o'neil",
    "zhang_san",
    "maria-luisa",
    "tom99",
    "s+shop",
    "chen88",
)
DOMAINS = ("example.com", "gmail.com", "qq.com", "163.com", "mail.example.co.uk", "web.de", "x.io")
US_AREAS = ("212", "415", "310", "617", "206", "303", "702", "512")
STREETS = ("Baker", "Main", "High", "Old Mill", "North Oak", "Queen Victoria", "Martin Luther King",
           "5th", "42nd", "St. James's")  # fmt: skip
STREET_TYPES = ("Street", "St", "Road", "Rd", "Avenue", "Ave", "Lane", "Drive", "Blvd", "Court",
                "Way", "Place", "Square")  # fmt: skip
US_PLACES = ("Springfield, IL 62704", "New York, NY 10001-2345", "San Jose, CA 95112",
             "Austin TX 78701", "Salt Lake City, UT 84101")  # fmt: skip
GB_PLACES = ("London NW1 6XE", "London, SW1A 1AA", "Manchester M1 1AE", "Leeds LS1 4AP",
             "Milton Keynes MK9 3QA", "Bristol BS1 5TR")  # fmt: skip
CN_AREAS = ("上海市浦东新区", "北京市朝阳区", "广东省深圳市南山区", "浙江省杭州市西湖区", "天河区",
            "江苏省苏州市昆山市", "武汉市洪山区", "重庆市渝北区龙溪街道",
            "新疆维吾尔自治区乌鲁木齐市天山区", "四川省 成都市 武侯区")  # fmt: skip
CN_STREETS = ("世纪大道", "建国路", "中山东一路", "南京西路", "人民南路四段", "科技园路", "文三路",
              "长安街", "解放大道", "延安中路")  # fmt: skip
CN_ESTATES = ("阳光花园", "万科城", "望京西园四区", "金地名苑", "幸福小区", "和平新村")
RIC_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643


def digits(r: random.Random, n: int, first: str = "0123456789") -> str:
    return r.choice(first) + "".join(r.choices("0123456789", k=n - 1))


def group(number: str, sizes: str, separator: str) -> str:
    """Write a number in groups: `group("13800138000", "3-4-4", " ")`."""
    parts = []
    for size in map(int, sizes.split("-")):
        parts.append(number[:size])
        number = number[size:]
    return separator.join(parts)


def slots(form: str, *sizes: int) -> Form:
    """Return a form whose slots are random digits: `slots("07{} {}", 3, 6)`."""
    return lambda r: form.format(*(digits(r, n, "123456789") for n in sizes))


def named(words: str, form: Form) -> Form:
    return lambda r: (words, str(form(r)))


def wide(form: Form) -> Form:
    return lambda r: str(form(r)).translate(FULL_WIDTH)


def email(r: random.Random) -> str:
    return f"{r.choice(NAMES)}@{r.choice(DOMAINS)}"


def us_phone(form: str) -> Form:
    def write(r: random.Random) -> str:
        return form.format(r.choice(US_AREAS), r.choice(("555", digits(r, 3, "2346789"))),
                           digits(r, 4))  # fmt: skip

    return write


def cn_mobile(form: str, sizes: str, separator: str) -> Form:
    def write(r: random.Random) -> str:
        number = r.choice(("138", "139", "150", "186", "177", "199")) + digits(r, 8)
        return form.format(group(number, sizes, separator))

    return write


def keycaps(r: random.Random) -> str:
    return "".join(f"{digit}\ufe0f\u20e3" for digit in "139" + digits(r, 8))


def card(prefixes: tuple[str, ...], sizes: str, separator: str) -> Form:
    def write(r: random.Random) -> str:
        n = sum(map(int, sizes.split("-")))
        body = r.choice(prefixes)
        body += "".join(r.choices("0123456789", k=n - len(body) - 1))
        doubled = [int(d) * (2 - i % 2) for i, d in enumerate(reversed(body))]
        check = -sum(d // 10 + d % 10 for d in doubled) % 10  # Luhn
        return group(f"{body}{check}", sizes, separator)

    return write


def iban(separator: str = "") -> Form:
    def write(r: random.Random) -> str:
        country, account = r.choice((
            ("GB", "NWBK" + digits(r, 14)), ("DE", digits(r, 18)), ("NL", "ABNA" + digits(r, 10)),
            ("FR", digits(r, 10) + "A" + digits(r, 12)), ("CH", digits(r, 17)),
        ))  # fmt: skip
        as_number = int("".join(str(int(c, 36)) for c in f"{account}{country}00"))
        number = f"{country}{98 - as_number % 97:02}{account}"
        return separator.join(number[i : i + 4] for i in range(0, len(number), 4))

    return write


def ssn(separator: str) -> Form:
    def write(r: random.Random) -> str:
        return separator.join((str(r.randint(101, 665)), str(r.randint(10, 77)),
                               digits(r, 4, "123456789")))  # fmt: skip

    return write


def nino(form: str) -> Form:
    def write(r: random.Random) -> str:
        pairs = [digits(r, 2) for _ in range(3)]
        return form.format(r.choice("ABCEHJ") + r.choice("ABCEHJ"), *pairs, r.choice("ABCD"))

    return write


def resident_number(r: random.Random) -> str:
    county = r.choice(("110105", "310115", "440305", "330106", "510107"))
    born = f"{r.randint(1950, 2005)}{r.randint(1, 12):02}{r.randint(1, 28):02}"
    body = county + born + digits(r, 3)
    total = sum(w * int(d) for w, d in zip(RIC_WEIGHTS, body, strict=True))
    return body + "10X98765432"[total % 11]


def ipv4(r: random.Random) -> str:
    return ".".join(str(r.randint(11, 254)) for _ in range(4))


def ipv6(r: random.Random) -> str:
    return "2001:db8:" + ":".join(f"{r.randint(16, 65535):x}" for _ in range(6))


def short_ipv6(r: random.Random) -> str:
    return f"fe80::{r.randint(16, 4095):x}:{r.randint(16, 255)}"


def street(r: random.Random) -> str:
    number = f"{r.randint(1, 2999)}{r.choice(('', '', '', 'b'))}"
    return f"{number} {r.choice(STREETS)} {r.choice(STREET_TYPES)}"


def us_address(r: random.Random) -> str:
    unit = r.choice(("", "", ", Apt 4B", " #12", ", Suite 300", " Unit 7", ", Fifth Floor"))
    return f"{street(r)}{unit}, {r.choice(US_PLACES)}"


def gb_address(r: random.Random) -> str:
    flat = r.choice(("", "", "Flat 2, "))
    return f"{flat}{street(r)}{r.choice((', ', ' '))}{r.choice(GB_PLACES)}"


def lone_street(r: random.Random) -> str:
    kind = r.choice(("Street", "Road", "Avenue"))
    return f"{r.randint(2, 300)} {r.choice(STREETS[:6])} {kind}"


def postcode(r: random.Random) -> str:
    return " ".join(r.choice(GB_PLACES).split()[-2:])


def european_address(r: random.Random) -> str:
    house, german = r.randint(1, 250), r.choice(("Musterstraße", "Berliner Str.", "Am Alten Markt"))
    french = r.choice(("rue de la Paix", "avenue Victor Hugo", "place de la République"))
    return r.choice((f"{german} {house}, {digits(r, 5, '1')} {r.choice(('Berlin', 'Köln'))}",
                     f"{house} {french}, 750{r.randint(10, 20)} Paris"))  # fmt: skip


def jp_address(r: random.Random) -> str:
    place = r.choice(("東京都港区芝公園", "大阪府大阪市北区梅田", "神奈川県横浜市西区みなとみらい"))
    first, second, third = (r.randint(1, 20) for _ in range(3))
    return place + r.choice((f"{first}-{second}-{third}", f"{first}丁目{second}番{third}号"))


def cn_address(r: random.Random) -> str:
    lane = f"{r.randint(1, 500)}弄{r.randint(1, 60)}号"
    houses = (f"{r.randint(1, 2000)}号", f"甲{r.randint(1, 60)}号", lane, "12-3号")
    rooms = (f"{r.randint(1, 9)}栋{digits(r, 3, '123')}室", f"A座{digits(r, 4, '1')}", "5楼",
             "", "", f"{r.randint(1, 9)}号楼2单元{digits(r, 4, '1')}")  # fmt: skip
    return r.choice(CN_AREAS) + r.choice(CN_STREETS) + r.choice(houses) + r.choice(rooms)


def cn_estate(r: random.Random) -> str:
    house, unit, room = r.randint(1, 20), r.randint(1, 6), digits(r, 3, "123456")
    short = f"{house}-{unit}-{room}"
    rooms = r.choice((f"{house}号楼{unit}单元{room}室", f"{house}栋{room}", short))
    estate = CN_ESTATES[0] if rooms is short else r.choice(CN_ESTATES)
    return r.choice(CN_AREAS) + estate + rooms


EMAILS = (
    email, email, email, wide(email), lambda r: email(r).upper(),
    lambda r: email(r).replace("@", " @ "), lambda r: email(r).replace("@", "(at)"),
    lambda r: f"{r.choice(('ann', 'li'))} dot smith at example dot com",
    lambda r: f"{r.choice(('ann', 'li'))} [at] example [dot] com", slots("{}@qq.com", 9),
    lambda r: f"{r.choice(('анна', 'иван.к'))}@{r.choice(('почта.рф', 'example.com'))}",
    lambda r: f"{r.choice(('用户', '小明'))}@{r.choice(('例子.公司', 'example.com'))}",
)  # fmt: skip
ENGLISH_PHONES = (
    *map(us_phone, (
        "({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "+1 {} {} {}", "1-{}-{}-{}", "{}{}{}", "+1{}{}{}",
        "({}){}-{} ext. 12", "{} {} {}", "001 {} {} {}", "+1 ({}) {}-{}",
    )),
    slots("020 7{} {}", 3, 4), slots("(020) 7{} {}", 3, 4), slots("+44 20 7{} {}", 3, 4),
    slots("+44 (0)20 7{} {}", 3, 4), slots("07911 {}", 6), slots("07700 900{}", 3),
    slots("0044 7911 {}", 6), slots("07911{}", 6), slots("0161 496 {}", 4),
    slots("01632 960{}", 3), slots("+44 7911 {}", 6), slots("07911 {} {}", 3, 3),
    slots("+49 30 {}", 8), slots("0151 2{}", 7), slots("0151/2{}", 7),
    slots("+49 (0)151 2{}", 7), slots("030 / 2{}", 6), named("tel: ", slots("{}-{}", 3, 4)),
    slots("06 1{} 34 {} {}", 1, 2, 2), slots("01.42.{}.{}.{}", 2, 2, 2),
    slots("8 (912) {}-{}-{}", 3, 2, 2), slots("8 916 {} {} {}", 3, 2, 2),
    slots("(11) 9{}-{}", 4, 4), slots("(11) 3{}-{}", 3, 4), slots("090-{}-{}", 4, 4),
)  # fmt: skip
CHINESE_PHONES = (
    cn_mobile("{}", "11", ""), cn_mobile("{}", "3-4-4", " "), cn_mobile("{}", "3-4-4", "-"),
    cn_mobile("+86 {}", "11", ""), cn_mobile("+86{}", "11", ""), cn_mobile("+86 {}", "3-4-4", "-"),
    cn_mobile("86-{}", "11", ""), wide(cn_mobile("{}", "11", "")), cn_mobile("{}", "3-3-5", " "),
    cn_mobile("(+86) {}", "3-4-4", " "), cn_mobile("0086 {}", "11", ""), keycaps,
    slots("010-6{}", 7), slots("(021) 6{} {}", 3, 4), slots("0755-83{}", 6), slots("021 6{}", 7),
    slots("010-6{}转80{}", 7, 2), named("电话：", slots("6{}", 7)),
)  # fmt: skip
CARDS = (
    card(("4", "51", "55", "2221"), "4-4-4-4", " "), card(("4", "52", "6011"), "4-4-4-4", "-"),
    card(("4", "54"), "16", ""), card(("34", "37"), "4-6-5", " "), card(("37",), "15", ""),
    card(("62",), "4-4-4-4", " "), card(("6222",), "19", ""), card(("6217",), "4-4-4-4-3", " "),
    wide(card(("4",), "4-4-4-4", " ")),
)  # fmt: skip
IBANS = (iban(), iban(" "), iban("-"))
IPS = (ipv4, ipv4, ipv6, short_ipv6)
ENGLISH_IDS = (
    ssn("-"), ssn(" "), named("ssn ", ssn("")), nino("{} {} {} {} {}"), nino("{}{}{}{}{}"),
    nino("{}{} {} {} {}"),
)  # fmt: skip
CHINESE_IDS = (
    resident_number, named("身份证", resident_number), wide(resident_number),
    named("身份证号码：", lambda r: resident_number(r).lower()),
    lambda r: group(resident_number(r), "6-8-4", " "), named("QQ：", slots("{}", 9)),
)  # fmt: skip
ENGLISH_ADDRESSES = (
    us_address, us_address, gb_address, gb_address, lone_street, slots("PO Box {}", 4), postcode,
    slots("P.O. Box {}", 3), slots("No. {} Century Avenue, Shanghai", 3),
    european_address,
)  # fmt: skip
CHINESE_ADDRESSES = (
    cn_address, cn_address, cn_address, cn_estate, cn_estate, jp_address,
    lambda r: f"{r.choice(CN_STREETS)}{r.randint(2, 900)}号",
)  # fmt: skip
# Kind → the forms in English and in Chinese texts.
FORMS: dict[str, dict[str, tuple[Form, ...]]] = {
    "email": {"en": EMAILS, "zh": EMAILS},
    "phone": {"en": ENGLISH_PHONES, "zh": CHINESE_PHONES},
    "card": {"en": CARDS, "zh": CARDS},
    "iban": {"en": IBANS, "zh": IBANS},
    "id number": {"en": ENGLISH_IDS, "zh": CHINESE_IDS},
    "ip": {"en": IPS, "zh": IPS},
    "address": {"en": ENGLISH_ADDRESSES, "zh": CHINESE_ADDRESSES},
}
