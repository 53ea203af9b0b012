"""Find e-mail addresses, also spelled out, and IP addresses."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

from profile_lib.events.recognisers import Span

# Letters of scripts that put spaces between words, and of those that do not, from Thai to Hangul.
LETTERS = r"À-ɏ\u0370-\u0dff\u10a0-\u10ff\u1e00-\u1fff"
UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7a3\uf900-\ufaff"
)
LOCAL = rf"A-Za-z0-9{LETTERS}._%+'’-"  # characters of the part before @
UNSPACED_TOP_LEVELS = (
    "公司|中国|中國|网络|網絡|网址|网店|商城|商店|在线|中文网|集团|香港|台湾|台灣|新加坡|我爱你|信息"
    "|移动|手机|企业|政务|公益|한국|닷컴|닷넷|コム|みんな|ไทย|คอม"
)
PROVIDERS = (
    "gmail|googlemail|yahoo|hotmail|outlook|live|icloud|aol|proton|gmx|web|qq|foxmail|sina|163|126"
)
# Possessive quantifiers, and starts that never follow a character of LOCAL, keep the time linear.
DOMAIN = (
    rf"(?:(?:[A-Za-z0-9{LETTERS}-]{{1,63}}[.。]){{1,8}}[A-Za-z{LETTERS}]{{2,24}}"
    rf"|(?:[A-Za-z0-9{LETTERS}{UNSPACED}-]{{1,63}}[.。]){{1,8}}"
    rf"(?:{UNSPACED_TOP_LEVELS}|(?<=\.)[A-Za-z]{{2,24}})"
    rf"|(?:{PROVIDERS})(?![A-Za-z0-9]))"
)
EMAIL = re.compile(rf"(?<![{LOCAL}])[{LOCAL}]++ ?@ ?{DOMAIN}", re.IGNORECASE)
MAX_UNSPACED_CHARS = 20  # of a name, which may include words in front of it
UNSPACED_EMAIL = re.compile(
    rf"[{UNSPACED}{LOCAL}]{{0,{MAX_UNSPACED_CHARS - 1}}}[{UNSPACED}]@{DOMAIN}", re.IGNORECASE
)
WORD = rf"[a-z0-9{LETTERS}_+'-]{{1,30}}"
TOP_LEVELS = r"(?:com|net|org|edu|gov|info|io|co|uk|de|fr|eu|us|cn)(?![a-z0-9])"
BRACKETED_AT, BRACKETED_DOT = (rf" ?[(\[{{<] ?{w} ?[)\]}}>] ?" for w in ("at", "dot"))
DOT = rf"(?:\.|{BRACKETED_DOT}| dot )"
BRACKETED_EMAIL = re.compile(
    rf"(?<![a-z0-9{LETTERS}_+-]){WORD}(?:{DOT}{WORD}){{0,3}}{BRACKETED_AT}{WORD}(?:{DOT}{WORD}){{1,4}}",
    re.IGNORECASE,
)
SPELLED_EMAIL = re.compile(
    rf"(?<![a-z0-9{LETTERS}_+-])(?P<local>{WORD}(?: dot {WORD}){{0,3}}) at "
    rf"(?P<domain>{WORD})(?: dot {WORD}){{0,2}}? dot {TOP_LEVELS}",
    re.IGNORECASE,
)
EVIDENCE = re.compile(r" dot |[0-9_]", re.IGNORECASE)  # of a name, in front of "at"

OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
IPV4 = re.compile(rf"(?<![\w.]){OCTET}(?:\.{OCTET}){{3}}(?!\.?\d)", re.ASCII)
VERSION = re.compile(
    r"(?:\b(?:v|rv|ver|version|firmware|fw|release|build)|版本|固件|系统)[ .:：]{0,2}$|[<>~=]=?$",
    re.I,
)
VERSION_CHARS = 12  # in front of a number, where "version" stands
# A word and a colon may stand in front, as in "ip:2001:db8::1".
IPV6 = re.compile(
    r"(?<![0-9A-Za-z:.])(?:[a-z]{0,12}:)??(?P<address>(?:[0-9a-f]{1,4}|:(?=:))(?::[0-9a-f]{0,4}){1,7}"
    r"(?:\.\d{1,3}){0,3})(?!:?[A-Za-z0-9])",
    re.IGNORECASE,
)


def find_emails(text: str) -> Iterator[Span]:
    """Yield e-mail addresses, also with "(at)" or as "ann dot smith at example dot com".

    The spelled form needs a sign of a name, a dot, digit or underscore in front of "at" or a known
    provider behind it, because "look at polka dot com" names a site.
    """
    for match in EMAIL.finditer(text):
        address = match[0].lstrip(".%+'’-_ ")
        if not address.startswith("@"):  # "@shop.com" names no person
            yield match.end() - len(address), match.end()
    for form in (UNSPACED_EMAIL, BRACKETED_EMAIL):
        yield from (match.span() for match in form.finditer(text))
    for match in SPELLED_EMAIL.finditer(text):
        is_provider = re.fullmatch(PROVIDERS, match["domain"], re.IGNORECASE)
        if is_provider or EVIDENCE.search(match["local"]):
            yield match.span()


def find_ips(text: str) -> Iterator[Span]:
    """Yield addresses of IPv4 and IPv6 (RFC 4291), but not version numbers.

    Four single digits, such as 1.2.3.4, are a section or a version.
    """
    for match in IPV4.finditer(text):
        has_long_octet = any(len(octet) > 1 for octet in match[0].split("."))
        before = text[max(0, match.start() - VERSION_CHARS) : match.start()]
        if has_long_octet and not VERSION.search(before):
            yield match.span()
    for match in IPV6.finditer(text):
        address = match["address"]
        address = address if address.endswith("::") else address.removesuffix(":")
        if any(c.isdigit() for c in address) and _is_ipv6(address):
            start = match.start("address")
            yield start, start + len(address)


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return True
