"""List the words of the simulated shop in English and Chinese."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Assortment:
    """The products of one category, in English and Chinese in the same order."""

    category: str
    median_price: float  # in the shop's currency
    brands: tuple[str, ...]
    nouns: tuple[str, ...]
    chinese_nouns: tuple[str, ...]


def _assortment(category: str, price: float, brands: str, nouns: str, chinese: str) -> Assortment:
    return Assortment(
        category, price, tuple(brands.split()), tuple(nouns.split(", ")), tuple(chinese.split())
    )


ASSORTMENTS = (
    _assortment(
        "fashion", 45, "Marlune Oakthread Velisse Norrkind",
        "linen dress, denim jacket, wool coat, cotton shirt, ankle boots, silk scarf, knit sweater",
        "亚麻连衣裙 牛仔外套 羊毛大衣 纯棉衬衫 短靴 真丝围巾 针织毛衣",
    ),
    _assortment(
        "phones", 320, "Pixora Lumitel Hanwei Zentra",
        "smartphone, phone case, wireless charger, screen protector, power bank, earbuds",
        "智能手机 手机壳 无线充电器 屏幕保护膜 充电宝 无线耳机",
    ),
    _assortment(
        "beauty", 25, "Roselle Purefleur Jinmei Calmora",
        "face cream, lipstick, sunscreen, perfume, shampoo, face mask, eye shadow palette",
        "面霜 口红 防晒霜 香水 洗发水 面膜 眼影盘",
    ),
    _assortment(
        "computers", 650, "Quantis Hexcore Yunshi Typewell",
        "gaming laptop, mechanical keyboard, wireless mouse, monitor, graphics card, fast disk",
        "游戏笔记本 机械键盘 无线鼠标 显示器 显卡 高速硬盘",
    ),
    _assortment(
        "home", 60, "Casalino Furnwell Muzhi Heartholm",
        "floor lamp, bed linen, storage box, office chair, wool rug, curtain, bookshelf",
        "落地灯 床上用品 收纳箱 办公椅 羊毛地毯 窗帘 书架",
    ),
    _assortment(
        "kitchen", 40, "Bratwell Copperline Xianchu Kettlemark",
        "frying pan, chef knife, rice cooker, coffee grinder, tea set, lunch box, blender",
        "平底锅 厨师刀 电饭煲 咖啡研磨机 茶具 饭盒 搅拌机",
    ),
    _assortment(
        "sports", 55, "Strideon Alpfex Liyue Corefit",
        "running shoes, yoga mat, dumbbell set, cycling helmet, tennis racket, swim goggles",
        "跑步鞋 瑜伽垫 哑铃套装 骑行头盔 网球拍 泳镜",
    ),
    _assortment(
        "baby", 30, "Tinytoe Cuddlekin Beile Mamahug",
        "baby stroller, diapers, feeding bottle, baby monitor, infant car seat, teething toy",
        "婴儿推车 纸尿裤 奶瓶 婴儿监护器 儿童安全座椅 磨牙玩具",
    ),
    _assortment(
        "books", 15, "Inkwell Larchpress Wenhua Foliant",
        "crime novel, cook book, travel guide, picture book, history of art, poetry collection",
        "推理小说 菜谱 旅行指南 绘本 艺术史 诗集",
    ),
    _assortment(
        "garden", 35, "Greenspade Mossfield Huayuan Bloomery",
        "rose seeds, garden hose, pruning shears, flower pot, lawn mower, bird feeder",
        "玫瑰种子 花园水管 修枝剪 花盆 割草机 喂鸟器",
    ),
    _assortment(
        "games", 50, "Dicewood Arcadix Wanle Questforge",
        "board game, game controller, puzzle, model train, building blocks, card game",
        "桌游 游戏手柄 拼图 火车模型 积木 卡牌游戏",
    ),
    _assortment(
        "pets", 22, "Pawsome Whiskery Chongai Tailwind",
        "cat food, dog leash, cat litter, pet bed, aquarium filter, chew toy",
        "猫粮 狗绳 猫砂 宠物床 鱼缸过滤器 咀嚼玩具",
    ),
)  # fmt: skip
CATEGORIES = tuple(assortment.category for assortment in ASSORTMENTS)

STYLES = (
    "light", "classic", "premium", "compact", "soft", "modern", "durable", "large", "small", "eco",
)  # fmt: skip
CHINESE_STYLES = ("轻便", "经典", "高端", "便携", "柔软", "现代", "耐用", "大号", "小号", "环保")
COLOURS = ("black", "white", "red", "blue", "green", "grey", "pink", "beige")
CHINESE_COLOURS = ("黑色", "白色", "红色", "蓝色", "绿色", "灰色", "粉色", "米色")

# Phrases of reviews, one row per number of stars from one to five.
REVIEW_PHRASES: tuple[tuple[str, ...], ...] = (
    ("terrible quality, broke after two days", "awful, I want my money back", "a complete waste"),
    ("disappointed, not as described", "poor material and late delivery", "would not buy again"),
    ("it is okay for the price", "average, nothing special", "does the job but feels cheap"),
    ("good quality and fast delivery", "happy with it, works well", "nice, fits as described"),
    (
        "absolutely love it, perfect",
        "excellent, best I ever bought",
        "great gift, highly recommend",
    ),
)
CHINESE_REVIEW_PHRASES: tuple[tuple[str, ...], ...] = (
    ("质量太差，两天就坏了", "非常糟糕，要求退款", "完全是浪费钱"),
    ("很失望，与描述不符", "材质差，发货慢", "不会再买了"),
    ("一般般，对得起价格", "还行，没什么特别", "能用，但感觉廉价"),
    ("质量不错，发货很快", "挺满意，好用", "很好，与描述一致"),
    ("非常喜欢，完美", "太棒了，强烈推荐", "物超所值，家人都喜欢"),
)
PAGES = ("Home", "Delivery and returns", "Help", "Size guide", "My account")
REGIONS = (
    "Beijing", "Shanghai", "Guangdong", "Sichuan", "London", "Bavaria", "California", "Ontario",
)  # fmt: skip
CHANNELS = ("organic search", "direct", "paid search", "email", "social", "referral")
DEVICES = ("mobile", "desktop", "app", "tablet")
AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55+")
GENDERS = ("female", "male")

# How much more (or less) each age band and gender likes a category, in order of ASSORTMENTS.
#               fash  phon  beau  comp  home  kitch sport baby  books gard  games pets
AGE_TASTES = (
    (1.0, 1.5, 0.8, 1.2, -1.5, -1.5, 0.5, -2.0, 0.0, -2.5, 1.8, 0.0),
    (0.5, 0.8, 0.5, 0.8, 0.3, 0.0, 0.5, 2.0, -0.3, -1.5, 0.5, 0.3),
    (0.0, 0.0, 0.0, 0.3, 1.0, 1.0, 0.3, 0.8, 0.0, 0.0, -0.3, 0.3),
    (-0.3, -0.5, 0.0, -0.3, 1.0, 1.2, 0.3, -1.5, 0.8, 1.3, -1.0, 0.5),
    (-0.8, -1.0, -0.5, -0.8, 0.5, 0.8, -0.8, -1.8, 1.8, 2.2, -1.5, 0.5),
)

FEMALE_TASTES = (1.0, -0.5, 1.6, -1.0, 0.5, 0.3, -0.3, 0.8, 0.2, 0.2, -0.6, 0.2)
