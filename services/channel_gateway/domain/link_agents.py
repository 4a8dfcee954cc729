"""Who opens a link: a person in a browser, or a program. Told by what it says of itself, and by nothing that a page
would have to run (no JavaScript), since many open links where none is run.

Programs are: whoever asks for the head alone; a browser that fetches what might be wanted next; whoever names itself as
one of the list; and whoever is no browser, all of which begin with `Mozilla/` or `Opera/`. What people open links with
inside of apps (LINE, Facebook, Instagram) are browsers that name the app besides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

AGENT_LENGTH_MAX: Final = 100
"""Characters kept of what a program calls itself."""
PROGRAMS: Final[Mapping[str, str]] = {
    "line-poker": "LINE preview",
    "facebookexternalhit": "Facebook preview",
    "facebookcatalog": "Facebook",
    "facebookbot": "Facebook",
    "facebot": "Facebook preview",
    "meta-externalagent": "Meta",
    "meta-externalfetcher": "Meta",
    "whatsapp/": "WhatsApp preview",
    "telegrambot": "Telegram preview",
    "slackbot": "Slack preview",
    "slack-imgproxy": "Slack preview",
    "discordbot": "Discord preview",
    "twitterbot": "X preview",
    "linkedinbot": "LinkedIn preview",
    "pinterestbot": "Pinterest preview",
    "skypeuripreview": "Skype preview",
    "microsoftpreview": "Microsoft preview",
    "bingpreview": "Bing preview",
    "vkshare": "VK preview",
    "kakaotalk-scrap": "KakaoTalk preview",
    "embedly": "preview service",
    "iframely": "preview service",
    "google-safety": "Google scanner",
    "google-pagerenderer": "Google preview",
    "google-inspectiontool": "Google",
    "googleimageproxy": "Google preview",
    "apis-google": "Google",
    "mediapartners-google": "Google",
    "yahoo! slurp": "Yahoo",
    "proofpoint": "mail scanner",
    "barracuda": "mail scanner",
    "mimecast": "mail scanner",
    "symantec": "mail scanner",
    "urlscan": "scanner",
    "virustotal": "scanner",
    "headlesschrome": "headless browser",
    "phantomjs": "headless browser",
    "puppeteer": "headless browser",
    "playwright": "headless browser",
    "curl/": "curl",
    "wget/": "wget",
    "python-": "Python",
    "aiohttp/": "Python",
    "httpx/": "Python",
    "go-http-client": "Go",
    "okhttp": "okhttp",
    "java/": "Java",
    "apache-httpclient": "Java",
    "node-fetch": "Node",
    "axios/": "Node",
    "libwww-perl": "Perl",
    "crawler": "crawler",
    "spider": "crawler",
    "scrapy": "crawler",
    "preview": "preview",
    "scanner": "scanner",
    "monitor": "monitor",
}
"""What a program has in its User-Agent, in small letters, and what it is called here."""
_BOT: Final = re.compile(r"(?:bot|crawl)(?:[/;:,)\s_-]|$)")
"""`Googlebot/2.1`, `bingbot;`, `AhrefsBot)`, …; not `CUBOT X30`, a telephone."""
_NO_BOT: Final = re.compile(r"\bcubot\b")
_BROWSERS: Final = ("Mozilla/", "Opera/")
_BEFOREHAND: Final = ("prefetch", "prerender", "preview")
_PURPOSES: Final = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


def program_of(method: str, headers: Mapping[str, str]) -> str:
    """What opens a link, if it is a program; empty for a person. `headers` are found whatever their case."""
    agent = headers.get("User-Agent", "")
    named = _named(agent)
    if named:
        return named
    if method == "HEAD":
        return "HEAD"
    for name in _PURPOSES:
        purpose = headers.get(name, "").lower()
        if any(word in purpose for word in _BEFOREHAND):
            return "prefetch"
    if agent.startswith(_BROWSERS):
        return ""
    # What is not printable ASCII of it is nothing that anybody looks for.
    kept = "".join(filter(str.isprintable, agent[:AGENT_LENGTH_MAX].encode("ascii", "ignore").decode()))
    return kept or "no User-Agent"


def _named(agent: str) -> str:
    low = agent.lower()
    for sign, name in PROGRAMS.items():
        if sign in low:
            return name
    return "crawler" if _BOT.search(_NO_BOT.sub("", low)) else ""
