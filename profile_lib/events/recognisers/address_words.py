"""List the words of European addresses, as alternatives of regular expressions."""


def _alternatives(words: str) -> str:
    return "|".join(words.split())


# Strong types rarely follow a number in product texts; weak ones do: "4 wheel drive".
STRONG_TYPES = _alternatives("street road avenue boulevard lane ave blvd rd")
WEAK_TYPES = _alternatives(
    "st drive dr court ct place pl square sq terrace close crescent gardens grove mews hill way"
    " parkway pkwy highway hwy row walk circle cir trail loop alley quay plaza heights"
    " expressway turnpike parade wharf embankment crossing ridge manor"
)
FLOORS = _alternatives("ground first second third fourth fifth")
UNITS = _alternatives("flat studio apt apartment unit suite ste room floor fl building bldg")
STATES = _alternatives(
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ"
    " NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC PR GU VI"
)
POSTCODE_AREAS = _alternatives(
    "AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT"
    " DY E EC EH EN EX FK FY G GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA"
    " LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX PA PE PH PL PO PR RG RH RM S SA SE"
    " SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV"
    " YO ZE"
)
# Units of products that end like a postcode: "M18 5AH battery", "Samsung T7 2TB".
POSTCODE_LIKE_UNITS = _alternatives("TB GB AH LB FT HZ XL ST ND RD TH PS HD HP PR")
CITIES = (
    "london|manchester|birmingham|leeds|liverpool|bristol|sheffield|edinburgh|glasgow|cardiff"
    "|belfast|new york|los angeles|chicago|houston|phoenix|philadelphia|san antonio|san diego"
    "|dallas|austin|san jose|san francisco|seattle|denver|boston|washington|miami|atlanta"
    "|las vegas|portland|toronto|vancouver|sydney|melbourne|dublin|berlin|munich|hamburg"
    "|singapore|hong kong|shanghai|beijing|shenzhen|guangzhou|hangzhou|chengdu"
)
# Words between a number and a type that make a quantity of it: "12 pack", "500 gb hard drive".
QUANTITY_WORDS = _alternatives(
    "gb tb mb inch in ft foot feet cm mm km kg lbs? oz ml watts? volts? mah packs? pcs pieces?"
    " sets? pairs? wheels? hard flash usb ssd disk days? weeks? months? years? hours? mins?"
    " minutes? stars? by of for and with per counts? sizes? pro gen speed ports? persons?"
    " players? reviews? way x one two on is it to my items? left times?"
)
# Goods that are named after roads and streets.
GOODS = _alternatives(
    "bikes? tires? tyres? shoes sneakers map atlas signs? racing king glide runner trip lamps?"
    " lights? style wear fighter band food dance art cleaner sweeper hockey legal sofa pillow"
    " helmets? gloves jersey saddle pedals"
)
SENTENCE_WORDS = _alternatives("in near please and or is but on by opposite thanks has was")
# Types that end the name of a German or Dutch street, and types that begin a French one.
GERMAN_TYPES = (
    r"(?:stra(?:ß|ss)e|str\.|gasse|allee|platz|weg|ring|damm|ufer|chaussee|steig|markt|straat|laan"
    r"|plein|gracht|kade)"
)
FRENCH_TYPES = (
    r"(?:rue|avenue|av\.|boulevard|bd|allée|chemin|impasse|quai|faubourg"
    r"|(?:place|square|passage|route|cours)(?= (?:de|du|des|d['’])))"
)
SOUTHERN_TYPES = "(?:via|viale|piazza|corso|calle|avenida|paseo|plaza)"
