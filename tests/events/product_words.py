"""Write words of shop texts without personal data, many with numbers that look like some."""

import random
from collections.abc import Callable

from tests.events.personal_text_forms import digits

Words = str | Callable[[random.Random], str]
BRANDS = ("Pixora", "Zentra", "Quantis", "Typewell", "Bratwell", "Strideon")


def ean(r: random.Random, prefix: str, n: int = 13) -> str:
    """Return a product code of GS1 with n digits and a true check digit."""
    body = prefix + "".join(r.choices("0123456789", k=n - len(prefix) - 1))
    return body + str(-sum(int(d) * (3 - 2 * (i % 2)) for i, d in enumerate(reversed(body))) % 10)


def isbn10(r: random.Random) -> str:
    body = digits(r, 9)
    check = -sum(int(d) * (10 - i) for i, d in enumerate(body)) % 11
    return body + ("X" if check == 10 else str(check))


def date(r: random.Random, form: str) -> str:
    return form.format(y=r.randint(2015, 2026), m=r.randint(1, 12), d=r.randint(1, 28))


def model(r: random.Random) -> str:
    return f"{r.choice(BRANDS)} {r.choice('KLX')}{digits(r, 5)}{r.choice('ABE')}"


def size(r: random.Random, sign: str) -> str:
    return sign.join(str(r.randint(*limits)) for limits in ((100, 400), (50, 300), (10, 90)))


ENGLISH: tuple[Words, ...] = (
    "iphone 15 128gb", "Great blender", "works well after 3 weeks", "1920x1080 monitor 144hz",
    "usb c cable 2m pack of 3", "Samsung T7 2TB portable drive", "M18 5AH battery",
    "4 wheel drive toy car", "500 gb hard drive", "100 piece picnic set", "26 inch road bike",
    "2 pack road bike tires", "sizes 36 37 38 39 40", "available in 250 500 1000 ml",
    "0.5 mm lead, 2.7182818284 of them", "look at polka dot dress", "bought at amazon dot com",
    "3 @ 5.99", "@shop thanks", "10:30:45 on 2024-01-15", "2019/2020 season", "24/7 support",
    "firmware 1.2.3.4", "version 10.0.22.1 fixed it", "100-240V 50/60Hz adapter",
    "fits 2018-2023 models", "page /dp/2125550123 of the catalogue", "4K HDMI 2.1 cable 48Gbps",
    "https://shop.example/p/4155552671?ref=38", "love it 10/10", "ratio 16:9", "C-3PO figure",
    "chanel no 5 perfume", "1984 by George Orwell", "5 star hotel towels", "10 way splitter",
    "Dell XPS 13 9310 i7-1165G7 16GB", "WH-1000XM5 headphones", "HP 305XL 3YM62AE cartridge",
    "NVIDIA RTX 4090 24GB GDDR6X", "size 10.5 US 44.5 EU", "12 pack garden hose 50 ft",
    "cable for 4650 6978 8035 8025 8600 9015", "ZEBRA 800077-740 ribbon", "3 lamps for street art",
    "dwell 22.36085853612983 s", "VivoBook S14 S430UN 14 Inch Laptop", "7 way to go",
    model, isbn10, "sizes 06 08 10 12 14", "12 place settings", "lindenstraße 3 dvd",
    "(10) 4000-5000 ml", "rue 21 perfume", "pages 01 02 03 04 05",
    lambda r: f"ean {ean(r, r.choice(('400', '50', '97', '690', '0')))}",
    lambda r: ean(r, r.choice(("400", "501", "978", "693", "84"))),
    lambda r: f"upc {ean(r, '0', 12)}", lambda r: f"isbn {isbn10(r)}",
    lambda r: f"order 11{digits(r, 1)}-{digits(r, 7)}-{digits(r, 7)}",
    lambda r: f"item {digits(r, 10, '23456789')}", lambda r: f"sku {digits(r, 8)}-{digits(r, 3)}",
    lambda r: f"{r.choice(BRANDS)} {digits(r, 4)}-{digits(r, 4)}",
    lambda r: f"${digits(r, 1, '123')},{digits(r, 3)}.{digits(r, 2)}",
    lambda r: date(r, "{y}-{m:02}-{d:02}"), lambda r: date(r, "{m:02}/{d:02}/{y}"),
    lambda r: f"{size(r, ' x ')} cm", lambda r: f"tracking 1Z{digits(r, 3)}AA{digits(r, 10)}",
    lambda r: f"{digits(r, 9, '123456789')} sold", lambda r: f"batch {digits(r, 14, '2')}",
)  # fmt: skip
CHINESE: tuple[Words, ...] = (
    "苹果15手机 128g", "质量不错，发货很快", "2024年1月15日买的", "5号电池 7号电池",
    "香奈儿5号香水",
    "尺码 36 37 38 39 40", "充电宝 20000毫安", "高铁2号线附近", "第3单元练习册", "1号店 满200减20",
    "显示器 1920x1080 144赫兹", "10000个好评", "路上10天才到", "味道5号更好", "12栋模型玩具",
    "110米长水管",
    "买了3层货架", "快递路上5天", "18号到货", "原价1299.00元，现价999元", "全套100册", "9.9元包邮",
    "24小时客服", "逛街3次", "线路2号", "#蒙牛#新包装", "坐104、113、5路都能到", "下单号满意",
    "东京都限定版", "東京都限定 3-5日で配送", "苹果@5.99元",
    lambda r: f"条形码{ean(r, '69')}", lambda r: ean(r, "693"),
    lambda r: f"订单号{digits(r, 18, '2345')}", lambda r: f"货号 {digits(r, 10, '23456789')}",
    lambda r: f"型号{r.choice('KLX')}{digits(r, 6)}", lambda r: f"快递单号 SF{digits(r, 13)}",
    lambda r: f"{digits(r, 8, '123456789')}人已购买", lambda r: date(r, "{y}年{m}月{d}日"),
    lambda r: f"{size(r, '*')}厘米", lambda r: f"价格{digits(r, 5, '123')}.{digits(r, 2)}元",
    lambda r: f"书号 978-7-{digits(r, 3)}-{digits(r, 5)}-{digits(r, 1)}",
)  # fmt: skip
WORDS = {"en": ENGLISH, "zh": CHINESE}


def write_words(r: random.Random, language: str) -> str:
    words = r.choice(WORDS[language])
    return words if isinstance(words, str) else words(r)
