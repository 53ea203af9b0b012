"""Recognise what a column holds by its name, in English, German and Chinese."""

import re

# Parts of a path that only wrap the others.
WRAPPERS = {"properties", "params", "data", "payload", "attributes", "event", "fields", "body"}
# Column of the contract → pattern of names → how much a name says about it, from 0 to 1. A pattern
# has to match all words of a name, or the last of its path; see `words_of`.
ID = r"( ?(id|ids|no|nr|num|number|key|code|hash|uuid|guid))"
USER = (
    r"(user|customer|client|visitor|member|household|buyer|shopper|account|person|reviewer|cust|usr"
    r"|distinct|kunden?|besucher|nutzer|用户|会员|客户|买家)"
)
ITEM = (
    r"(item|product|prod|sku|article|artikel|asin|goods|stock|offer|variant|content|object|aid|iid"
    r"|商品|产品|宝贝)"
)
AT = r"(time|time ?stamp|datetime|date time|date|ts|tstamp|at|zeit|zeitpunkt|datum|时间戳?|日期)"
ZONE = r"( (utc|gmt|ms|millis|micros|us|s|sec|seconds|unix|local|iso))*"
NAMES: dict[str, dict[str, float]] = {
    "user_id": {
        rf"{USER}{ID}?|uid|visid|full ?visitor{ID}|编号": 1.0,
        rf"{USER} (pseudo|ref|pk){ID}?|(domain|network) user{ID}|session user": 0.9,
        rf"(anonymous|anon|cookie|device|browser|pseudo|visitor pseudo){ID}|ip": 0.6,
    },
    "event_ts": {
        rf"((event|hit|click|action|activity|derived|view|interaction|log|record) ?){AT}"
        rf"{ZONE}": 1.0,
        rf"{AT}{ZONE}": 1.0,
        rf"(visit|session|event|click) (start|started|begin){ZONE}": 0.9,
        rf"((invoice|order|transaction|purchase|server|client|original|create|created|creation|occurred|visit"
        rf"|start|session|unix|epoch|rating|review|dvce|request) ?)+{AT}{ZONE}": 0.9,
    },
    "ingest_ts": {
        rf"(received|ingest|ingested|arrival|collector|processed|loaded|load|etl|inserted){AT}?"
        rf"( {AT})?{ZONE}": 0.95,
    },
    "event_type": {
        r"(event|action|activity|interaction|behaviou?r|hit|click)( ?(type|name|kind))|event|action"
        r"|behaviou?r|行为( ?类型)?|操作( ?类型)?|ereignis|aktion": 1.0,
        r"type|verb|activity|interaction|kind|act|typ": 0.7,
    },
    "item_id": {
        rf"{ITEM}{ID}|{ITEM}( sku)?|asin|sku|pid|ean|gtin|isbn": 1.0,
        r"(movie|song|track|video|book|hotel|poi|business)( ?id)": 0.8,
    },
    "session_hint": {r"(ga )?(session|visit|sitzung|会话)( ?(id|hint|number|no|uuid|key))?": 0.95,
                     r"(user|visit|domain) session( ?id)?|sid": 0.9},
    "order_id": {
        rf"(order|transaction|invoice|basket|purchase|bestell\w*|auftrags?|rechnungs?|订单|交易){ID}"
        rf"|order|transaction|invoice|ordernumber|订单|belegnr": 1.0,
    },
    "query": {
        r"(user |search |site |internal )?(query|search ?(text|string|phrase|words?|query)?"
        r"|search ?(terms?|keyword)|keywords?|terms?)|suchbegriff|搜索( ?词)?|关键词": 0.95,
        r"search ?string ?tokens|q": 0.7,
    },
    "text": {
        r"(review|comment)( ?(text|body|content))?|text|content|body|kommentar|评论|内容": 0.9,
        r"page( ?(title|name))|screen ?name": 0.8,
    },
    "rating": {r"(rating|stars?|score|overall|review ?score|grade|bewertung|评分)( ?value)?": 0.95},
    "price": {
        r"(unit|item|product|sale|selling|list|net|gross)? ?(price|preis|价格|单价)"
        r"( ?(usd|eur|gbp|in ?usd|value|per ?unit))*": 1.0,
        r"einzelpreis|(sales|item|product) ?(value|revenue)|amount|cost|betrag|金额": 0.6,
    },
    "quantity": {r"(item |product )?(quantity|qty|units|pieces|menge|anzahl|数量)": 1.0,
                 r"count|amount": 0.3},
    "position": {
        r"(item |product |list |result |click )?(position|rank|ordinal|slot|pos|index)"
        r"|item list index": 0.9,
    },
    "dwell_seconds": {
        r"(dwell|stay|view|visit|page|engagement)? ?(duration|dwell|time on (page|site)|dwell time"
        r"|time spent|engagement time|seconds)( (s|sec|seconds|ms|msec|millis))*": 0.85,
    },
    "title": {
        rf"({ITEM}|book|movie) ?(name|title|bezeichnung|名称|标题)|title|titel": 0.95,
        r"bezeichnung|artikelname|标题|品名": 0.95,
        rf"({ITEM} )?(description|desc|beschreibung)|name": 0.7,
    },
    "category": {
        rf"({ITEM} )?(category|cat|categorie|kategorie|类目|品类|分类)( ?(id|name|code|path))?"
        : 0.95,
        r"department|product ?type|warengruppe|genre|genres": 0.7,
    },
    "brand": {rf"({ITEM} )?(brand|marke|品牌)( ?(id|name))?": 0.95,
              r"(manufacturer|vendor|maker)( ?(id|name))?": 0.7},
    "channel": {
        r"(traffic |acquisition |marketing |utm |manual )?(channel|channel grouping|medium)"
        r"|application|kanal|渠道": 0.8,
    },
    "device": {r"(device|platform)( (category|class|type))?|gerät|设备( ?类型)?": 0.8},
    "region": {
        r"(geo |user |ship )?(country|region|state|province|land)( ?(code|name))?": 0.85,
        r"国家|省份|地区": 0.85,
        r"(geo |user )?(city|geohash|location|stadt|城市)|store ?id": 0.5,
    },
    "time_zone": {r"(os |geo |user )?time ?zone|tz|zeitzone": 0.95},
    "referrer": {
        r"refer(r)?er|(utm |manual |traffic )?source|(referring|ref|referrer) domain": 0.8,
    },
    "system": {r"(device )?(os|operating system|os (name|family)|system)( ?name)?": 0.85},
    "browser": {r"(web info )?(browser|br)( ?(name|family))?": 0.9},
    "user_agent": {r"user ?agent|ua": 0.95},
    "currency": {r"(price |order )?(currency|currency code|waehrung|währung|货币)": 0.95},
    "sequence": {
        r"(hit|event|batch event|sequence|seq|step|line)( ?(number|no|index|sequence|num))"
        r"|sequence|seq|frame ?offset": 0.85,
    },
    "id": {
        r"(event|message|hit|activity|row|record|log|insert) ?(id|uuid|guid|key)|uuid|guid|id"
        : 0.95,
    },
}  # fmt: skip
COMPILED = {
    role: [(re.compile(pattern), score) for pattern, score in patterns.items()]
    for role, patterns in NAMES.items()
}
FULL_PATH, LAST_PART = 1.0, 0.7  # weight of a match with all words, or with the last of a path
GLUED = re.compile(r"(?<=[a-z]{3})(id|ids|uuid|time|timestamp|date|name|type)$")


def words_of(name: str) -> str:
    """Return the words of a name: camel case and separators become spaces, in lower case.

    >>> words_of("userId"), words_of("post_visid_high"), words_of("visitorid"), words_of("SKU")
    ('user id', 'post vis id high', 'visitor id', 'sku')
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    words = re.split(r"[^\w]+|_+", spaced.lower())
    return " ".join(GLUED.sub(r" \1", word) for word in words if word)


def score_name(role: str, path: str) -> float:
    """Return how well a column's name fits a role, from 0 to 1.

    `path` may have parts separated by dots. Names of the whole path and of its last two parts count
    more than the last part alone.
    """
    parts = [part for part in path.split(".")[:-1] if part not in WRAPPERS] + [path.split(".")[-1]]
    tails = {words_of(" ".join(parts)): FULL_PATH, words_of(" ".join(parts[-2:])): FULL_PATH}
    tails.setdefault(words_of(parts[-1]), LAST_PART)
    return max(
        weight * score if pattern.fullmatch(words) else 0.0
        for words, weight in tails.items()
        for pattern, score in COMPILED[role]
    )


def is_known_name(name: str) -> bool:
    """Return whether a name is that of any role.

    >>> is_known_name("CustomerID"), is_known_name("Red mug")
    (True, False)
    """
    return any(score_name(role, name) > 0 for role in COMPILED)
