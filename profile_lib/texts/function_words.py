"""List function words: words that join others and name nothing.

Words that also name products or their properties are left out: can (of beans), down (jacket), mine,
round, us (the US).
"""


def _list_words(**words_by_class: str) -> frozenset[str]:
    """Return all words of the given classes."""
    return frozenset(word for words in words_by_class.values() for word in words.split())


ENGLISH = _list_words(
    articles="a an the",
    pronouns="i me my you your yours he him his she her hers it its we our ours they them their "
    "theirs myself yourself himself herself itself ourselves themselves this that these those who "
    "whom whose which what",
    prepositions="about across after against among around as at before behind between by during "
    "except for from in into of off on onto over since through to toward towards under until upon "
    "via with within without",
    conjunctions="and but or nor so yet if than because although though unless whereas while "
    "whether",
    auxiliaries="am is are was were be been being do does did have has had having will would shall "
    "should could may might must not",
    contractions="don't doesn't didn't isn't aren't wasn't weren't haven't hasn't won't can't "
    "couldn't wouldn't shouldn't i'm it's that's we're you're they're i've we've you've",
)
CHINESE = _list_words(  # in simplified characters
    pronouns="我 你 您 他 她 它 我们 你们 您们 他们 她们 它们 咱们 自己 这 那 这个 那个 这些 那些 "
    "这种 那种 哪 哪个 哪些 什么 谁 其 之",
    particles="的 地 得 了 着 过 吗 呢 吧 啊 呀 嘛 们 所",
    prepositions="在 从 向 往 对 对于 关于 把 被 给 为 为了 由 由于 于 以 用 比 跟 按",
    conjunctions="和 与 及 或 以及 或者 还是 并 并且 而 而且 但 但是 不过 因为 所以 如果 虽然 且",
    auxiliaries="是 能 会 可以 应该 应 将 要 有 不 没 没有 也 都 就 很 还",
)
JAPANESE = _list_words(
    particles="から まで より には では とは への での", auxiliaries="です ます する した"
)

# Languages in Latin script, by their ISO 639-1 codes.
FUNCTION_WORDS = {
    "en": ENGLISH,
    "de": _list_words(
        articles="der das den dem des ein eine einen einem einer",
        prepositions="mit für von vom zum zur im am an auf aus bei nach über unter in",
        others="und oder als wie so auch nicht ist sind sich was",
    ),
    "fr": _list_words(
        articles="le la les un une des du",
        prepositions="de au aux avec pour par dans sur sans en",
        others="et ou est sont ce cette ces qui que ne pas nous vous mon ma mes son sa ses on",
    ),
    "es": _list_words(
        articles="el la los las un una unos unas lo",
        prepositions="de del al con para por en sin sobre",
        others="y o es son que su sus este esta estos no se",
    ),
    "it": _list_words(
        articles="il lo la gli le i un uno una",
        prepositions="di del della dei delle degli al alla con per da in su nel nella",
        others="e o è sono che non si questo questa",
    ),
    "pt": _list_words(
        articles="o a os as um uma uns umas",
        prepositions="de do da dos das ao aos com para por em no na nos nas sem",
        others="e ou é são que não se seu sua",
    ),
    "nl": _list_words(
        articles="de het een",
        prepositions="met voor van uit op aan bij naar in om door te",
        others="en of niet is zijn dit dat deze die ook wij je",
    ),
    "sv": _list_words(
        articles="en ett den det de",
        prepositions="med för av till från på i om utan",
        others="och eller är inte som att",
    ),
    "pl": _list_words(
        prepositions="w z na do dla od po przez bez o", others="i oraz nie jest są to ten ta się"
    ),
    "tr": _list_words(
        prepositions="ile için gibi", others="ve veya bir bu şu da de daha olan çok en"
    ),
}
# Function words that are also names, begin names ("Le Creuset", "Los Angeles"), or are products in
# English: they do not show the language of a text.
NAMES = _list_words(
    articles="das den der die dos el il las le les lo los uma",
    others="au aux av com dat met op par sans si sin sur till van",
)
