"""Rules that are best effort: names where a word announces one, postal addresses, and words of the user's own.

No figure is promised for these: a name is not a pattern.
"""

from collections.abc import Iterator

from underlay.serve.redaction.patterns import Pattern, compiled
from underlay.serve.redaction.view import Found, View

_SURNAMES = (
    "欧阳|上官|司马|诸葛|司徒|皇甫|慕容|令狐|端木|夏侯|东方|尉迟|公孙|长孙|宇文|[赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏窦章"
    "苏潘葛范彭郎鲁韦马苗方俞任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于傅齐康伍余元顾孟黄穆萧尹姚邵汪祁毛狄米贝明臧戴谈宋庞熊纪舒屈项祝董梁杜阮蓝季贾路"
    "江童颜郭梅盛林钟徐邱骆高夏蔡田樊胡凌霍虞万柯管卢莫房缪干解应宗丁宣邓郁洪包左石崔吉龚程邢裴陆荣翁荀甄曲封芮储靳段巫焦谷车侯全班秋仲宁仇栾祖武符刘景詹束龙叶"
    "司黎溥印怀邰从索赖卓蔺屠蒙乔谭姬申冉宰雍桑濮牛边燕冀温庄晏柴瞿阎连习艾容向古易廖耿匡文欧蔚越隆师巩聂晁勾敖冷辛饶曾关肖游覃涂]"
)
_LABELLED = compiled(
    r"(?:姓名|名字|联系人|收件人|收货人|寄件人|客户姓名|患者|持卡人|户主|经办人|申请人|负责人|我叫|本人|法定代表人)"
    r" ?[:是为]? ?"
    rf"((?:{_SURNAMES})[\p{{Han}}]{{1,2}})"
)
_TITLED = compiled(rf"((?:{_SURNAMES})[\p{{Han}}]{{0,2}})(?:先生|女士|小姐|经理|老师|医生|律师|师傅|同学)")
_LATIN = r"[\p{Lu}][\p{L}'’\-]{1,24}"
_MISTER = compiled(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Madam)\.? ((?:{_LATIN}|[A-Z]\.)(?: (?:{_LATIN}|[A-Z]\.)){{0,2}})")
_NAMED = compiled(
    rf"\b(?:[Nn]ame|NAME|[Cc]ontact|[Aa]ttn|[Pp]atient|[Cc]ustomer|[Rr]ecipient|[Cc]ardholder|[Mm]y name is"
    rf"|[Dd]ear)(?: is| was)? ?:? ?({_LATIN}(?: [A-Z]\.)?(?: {_LATIN}){{0,2}})"
)
_NO_NAMES = compiled(
    r"(?i)(?:sir|madam|customer|customers|all|team|friend|friends|colleague|user|member|service|support|name|number|phone|email|us|"
    r"center|centre|the|our|your|is|info|information|details|id|date|care|hr|hi|hello|sir/madam)\b.*"
)
_NEXT_LABEL = compiled(
    r"^(?:电|手|联|身|性|住|地|邮|先|女|小|经|老|医|的|是|在|为|和|与|于|到|来|说|要|已|请|打|您|你|我|他|她)"
)

_PLACE = r"[\p{Han}]{1,7}"
_NUMBER = "[0-9一二三四五六七八九十百]"
_CHINESE_ADDRESS = compiled(
    rf"(?:(?:[\p{{Han}}]{{2,8}}(?:省|自治区|特别行政区)|(?:北京|上海|天津|重庆)市?) ?)?"
    rf"(?:{_PLACE}(?:市|自治州|地区|盟) ?)?(?:{_PLACE}(?:区|县|旗) ?)?(?:{_PLACE}(?:街道|镇|乡|村) ?)?"
    rf"(?:{_PLACE}(?:路|街|大道|道|巷|胡同|弄) ?)(?:{_NUMBER}{{1,6}}(?:号|弄|巷|\-[0-9]{{1,4}}号?) ?)"
    rf"(?:[\p{{Han}}A-Za-z0-9]{{0,12}}(?:小区|大厦|花园|公寓|广场|苑) ?)?"
    rf"(?:(?:{_NUMBER}|[A-Za-z]){{1,4}}(?:栋|幢|座|号楼|楼) ?)?"
    rf"(?:{_NUMBER}{{1,3}}单元 ?)?(?:[0-9]{{1,3}}[层楼] ?)?(?:[0-9A-Za-z]{{1,5}}[室号])?"
)
_ENGLISH_ADDRESS = compiled(
    r"\b[0-9]{1,5}[A-Za-z]? (?:[NSEW]\.? )?(?:[\p{Lu}0-9][\p{L}0-9'.\-]{0,24} ){1,4}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Crescent"
    r"|Close|Circle|Parkway|Pkwy|Highway|Hwy)\b\.?(?:,? (?:Apt|Apartment|Suite|Unit|Flat|#)\.? ?[A-Za-z0-9\-]{1,6})?"
)


def people(view: View) -> Iterator[Found]:
    """Names that a label or a title announces, and postal addresses of at least two levels."""
    for pattern in (_LABELLED, _TITLED):
        for found in view.matches(pattern):
            name = found.group(1)
            if len(name) > 2 and (_NEXT_LABEL.search(name[2:]) or _continues(view, found.end(1))):
                name = name[:2]
            yield _name(found.start(1), name)
    for pattern in (_MISTER, _NAMED):
        for found in view.matches(pattern):
            if not _NO_NAMES.fullmatch(found.group(1)):
                yield _name(found.start(1), found.group(1))
    yield from _postal(view)


def _continues(view: View, end: int) -> bool:
    """Whether the third sign of a name is the first of a label: `张三电` before `话`."""
    return view.text[end - 1 : end + 1] in (
        "电话",
        "手机",
        "联系",
        "身份",
        "性别",
        "住址",
        "地址",
        "邮箱",
        "微信",
        "年龄",
    )


def _name(start: int, name: str) -> Found:
    return Found("PERSON", "person", start, start + len(name), 0.6, name)


def _postal(view: View) -> Iterator[Found]:
    for pattern in (_CHINESE_ADDRESS, _ENGLISH_ADDRESS):
        for found in view.matches(pattern):
            text = found.group().rstrip()
            yield Found("ADDRESS", "address", found.start(), found.start() + len(text), 0.55, text.replace(" ", ""))


def dictionary(view: View) -> Iterator[Found]:
    """The words that the user gave, wherever they stand as words of their own."""
    for pattern in _patterns(view.words):
        for found in view.matches(pattern):
            before, after = view.text[found.start() - 1 : found.start()], view.text[found.end() : found.end() + 1]
            if not (_inside(before, found.group()[0]) or _inside(after, found.group()[-1])):
                yield Found("WORD", "word", found.start(), found.end(), 1.0, found.group().lower())


def _inside(neighbour: str, sign: str) -> bool:
    """Whether two letters belong to one word; Chinese has no blanks between words."""
    return neighbour.isascii() and neighbour.isalnum() and sign.isascii() and sign.isalnum()


AT_ONCE = 500
"""Words in one pattern: RE2 bounds the memory of a program."""


def _patterns(words: tuple[str, ...]) -> Iterator[Pattern]:
    for start in range(0, len(words), AT_ONCE):
        part = sorted(words[start : start + AT_ONCE], key=len, reverse=True)
        yield Pattern("(?i)(?:" + "|".join(map(_literal, part)) + ")")


def _literal(word: str) -> str:
    return "".join(rf"\x{{{ord(sign):x}}}" for sign in word)
