"""Find postal addresses in Chinese texts, by the number of a house or room."""

import re
from collections.abc import Iterator

from profile_lib.events.recognisers import Span

NUMERALS = "零〇一二两三四五六七八九十百千"
NUMBER = rf"[甲乙丙丁A-Za-z]?[\d{NUMERALS}]{{1,6}}(?:[-之]\d{{1,4}})?[甲乙丙丁A-Za-z]?"
# The lookbehinds exclude 线路, 思路, 逛街, 味道 and others, which are no roads.
ROAD = (
    r"(?:(?<![线电思套半网出问带走迷铁上])路|(?<!逛)街|(?<![味知频通渠轨赛])道|巷|弄|胡同|里|村"
    r"|段)"
)
# Signs behind the number of a house, but not in 2号线, 1号店 and 5号电池.
HOUSE_SIGN = r"(?:号(?:宿舍)?楼|号院|号|號|弄|组|#)(?![线店电色码])"
BUILDING_SIGN = r"(?:号楼|号院|栋|幢|座)"
ROOM_SIGN = r"(?:单元|室|房|户)"
ESTATE_NAME = r"(?:[\u4e00-\u9fff]{2,8}?(?:大厦|广场|中心|花园|小区|公寓|大楼|家园|国际|新村))?"
DETAIL = (
    rf"(?:[ ,，]?(?:{NUMBER} ?(?:{BUILDING_SIGN}|{ROOM_SIGN}|号|號|弄|楼|层|组|门)(?![线店电])"
    r"|[A-Za-z] ?座))"
)
END = r"(?:(?<=[栋幢座楼元])[- ]?\d{2,4}(?!\d))?(?:,? ?(?:邮编:? ?)?\d{6}(?!\d))?"
HOUSE = re.compile(
    rf"(?:{ROAD} ?(?:{NUMBER} ?{HOUSE_SIGN}|[A-Za-z] ?座){ESTATE_NAME}"
    r"|(?:小区|花园|苑|公寓|家园|新村|城) ?\d{1,3}-\d{1,2}-\d{3,4}(?!\d)"
    rf"|{NUMBER} ?{BUILDING_SIGN} ?(?={NUMBER} ?{ROOM_SIGN}|\d{{3,4}}(?!\d))){DETAIL}*{END}"
)
# The characters in front of a house that may be its road, district, city and province.
PLACE = re.compile(r"(?:[\u4e00-\u9fff](?:(?<=[省市区县州镇乡旗道])[ ,，])?){1,30}$")
MAX_PLACE_CHARS = 45
NOT_IN_PLACES = re.compile(r"[我你您他她它们的了在是住址到给请往送寄就这]")
PROVINCE = re.compile(
    r"(?:北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南"
    r"|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门)"
    r"(?![东南西北中一二三四五]{0,2}[路街大道])"  # 南京西路 is a road of Shanghai
)
DISTRICT = re.compile(r"[省市区县州]")
MAX_NAME = 5  # characters of a place in front of its 市, 区 or 县
MAX_ROAD_NAME = 6


def find_chinese_addresses(text: str) -> Iterator[Span]:
    """Yield addresses from the province, city, district or road to the room."""
    end = 0
    for match in HOUSE.finditer(text):
        start = _start_of_place(text, max(end, match.start() - MAX_PLACE_CHARS), match.start())
        end = match.end()
        yield start, end


def _start_of_place(text: str, floor: int, house: int) -> int:
    """Return where the place in front of a house number starts, not before `floor`.

    A province starts it; characters that no place name holds end it. Without both, a few characters
    too many are better than too few.
    """
    place = PLACE.search(text, floor, house)
    if not place:
        return house
    start = place.start()
    for stop in NOT_IN_PLACES.finditer(text, start, house):
        start = stop.end()
    if province := PROVINCE.search(text, start, house + 1):
        return province.start()
    district = DISTRICT.search(text, start, house)
    return max(start, district.start() - MAX_NAME if district else house - MAX_ROAD_NAME)
