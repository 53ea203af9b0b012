"""Guess which event type the words of a source stand for."""

import re
from typing import NamedTuple

from profile_lib.events.drafting.vocabulary import words_of

# Patterns over the words of a name, the most specific first → event type; None: no act of a user on
# items, which is left out. `certainty` is how sure that is.
RULES: list[tuple[str, str | None, float]] = [
    (r".*\b(promotion|promo|coupon|banner|updated|exit)\b.*|.*\bremoved? from wish ?list",
     None, 0.7),
    (r".*\b(impressions?|hover|scroll\w*|ping|heartbeat)\b.*|.*\b(list|results) (view|viewed)|view"
     r" item list|session (start|end)|first (visit|open)|user engagement|曝光", None, 0.8),
    (r"(view|viewed) (cart|basket|bag)|(cart|basket) (view|viewed|page)|sc view", "page", 0.7),
    (r".*\b(remove[ds]?|deleted?|declined)\b.*|uncart|移出购物车", "uncart", 0.7),
    (r".*\b(refund\w*|return|returned|cancel\w*|chargeback|storno)\b.*|退款|退货", "return", 0.9),
    (r".*\b(checkout|check out|payment|shipping|billing)\b.*|结算|支付页", "checkout", 0.85),
    (r"(.*\b)?(add|added|addto)\b.*\b(cart|basket|bag|trolley)\b.*|addtocart|product added|sc add"
     r"|carts?|basket|in den warenkorb|加购|加入购物车", "cart", 0.95),
    (r".*\b(wish ?list|favou?rites?|fav|likes?|liked|saved?|bookmark\w*|collect)\b.*|收藏|点赞",
     "favourite", 0.85),
    (r".*\b(purchase[ds]?|bought|buys?|orders?|ordered|transactions?|paid|sale|conversion|kauf"
     r"|bestellung)\b.*|购买|下单|支付|成交", "purchase", 0.9),
    (r".*\b(search\w*|query|queries|suche)\b.*|搜索", "search", 0.9),
    (r".*\b(review\w*|rate|rated|rating|comment\w*|bewertung)\b.*|评价|评论", "review", 0.85),
    (r".*\b(share|shared|social)\b.*|分享", "share", 0.9),
    (r".*\b(page ?views?|screen ?views?|page|screen|seitenaufruf)\b.*|首页", "page", 0.85),
    (r".*\b(click\w*|select\w*|tap|tapped|klick)\b.*|点击", "click", 0.8),
    (r".*\b(views?|viewed|pv|details?|look|see|visit|browse\w*|ansicht)\b.*|浏览|查看",
     "view", 0.85),
    (r".*\b(login|log ?in|logout|signup|sign ?up|register\w*|identify|alias|group|filter\w*|sort\w*"
     r"|video|download|install|notification|error|form|redirect)\b.*|登录|注册", None, 0.6),
]  # fmt: skip
COMPILED = [(re.compile(pattern), event_type, sure) for pattern, event_type, sure in RULES]


class WordGuess(NamedTuple):
    """The event type of a word, or None, and the certainty, 0 to 1."""

    event_type: str | None
    certainty: float


def guess_event_type(word: str) -> WordGuess:
    """Guess the event type of a word; certainty 0: it is unknown.

    >>> guess_event_type("addtocart"), guess_event_type("17")
    (WordGuess(event_type='cart', certainty=0.95), WordGuess(event_type=None, certainty=0.0))
    """
    words = words_of(word).strip()
    for pattern, event_type, certainty in COMPILED:
        if pattern.fullmatch(words):
            return WordGuess(event_type, certainty)
    return WordGuess(None, 0.0)
