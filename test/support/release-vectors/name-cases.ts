/** Cases of names, paths and variants, for ../release-vectors.ts. */
import { bad, type Case, type Fields, good } from "./scene.ts"

const NFC = "caf\u00e9"
const NFD = "cafe\u0301"

function names(): Case[] {
  const right = (name: string, comment: string, text: string, output: Fields) =>
    good(`name-${name}`, comment, { text }, output)
  const wrong = (name: string, comment: string, text: string) =>
    bad(`name-${name}`, comment, { text }, "ASSET_VERSION_INVALID")
  const part = "a".repeat(14)
  const longest = [...Array.from({ length: 7 }, () => part), "a".repeat(23)].join("/")
  return [
    right("plain", "A name of one part.", "acme/model@1", {
      namespace: "acme",
      name: "model",
      sequence: 1,
    }),
    right("marks", "Marks between.", "a-c.m_e/m-o.d_el@20", {
      namespace: "a-c.m_e",
      name: "m-o.d_el",
      sequence: 20,
    }),
    right("longest", "The most of each.", `${"n".repeat(64)}/${longest}@9007199254740991`, {
      namespace: "n".repeat(64),
      name: longest,
      sequence: Number.MAX_SAFE_INTEGER,
    }),
    wrong("empty", "Nothing.", ""),
    wrong("no-sequence", "No sequence.", "acme/model"),
    wrong("sequence-zero", "Sequences begin at 1.", "acme/model@0"),
    wrong("sequence-leading-zero", "One text for one version.", "acme/model@01"),
    wrong("sequence-hex", "Decimal only.", "acme/model@0x1"),
    wrong("sequence-large", "2^53.", "acme/model@9007199254740992"),
    wrong("sequence-sign", "A sign.", "acme/model@+1"),
    wrong("sequence-newline", "A line end.", "acme/model@1\n"),
    wrong("two-at", "Two marks.", "acme/model@1@2"),
    wrong("no-name", "No name.", "acme@1"),
    wrong("name-empty", "An empty name.", "acme/@1"),
    wrong("namespace-empty", "An empty namespace.", "/model@1"),
    wrong("namespace-long", "65 characters.", `${"n".repeat(65)}/model@1`),
    wrong("name-long", "129 characters.", `acme/${"m".repeat(129)}@1`),
    wrong("nine-parts", "Nine parts.", "acme/a/b/c/d/e/f/g/h/i@1"),
    wrong("part-empty", "An empty part.", "acme/a//b@1"),
    wrong("part-json", "A part that could be a statement's file.", "acme/model/1.json@2"),
    wrong("dots", "A way up.", "acme/../model@1"),
    wrong("upper-case", "Upper case.", "acme/Model@1"),
    wrong("mark-twice", "Two marks side by side.", "acme/mo..del@1"),
    wrong("mark-first", "A mark at the start.", "acme/-model@1"),
    wrong("not-ascii", "Another alphabet.", "acme/mod\u0435l@1"),
  ]
}

function paths(): Case[] {
  const right = (name: string, comment: string, ...list: readonly string[]) =>
    good(`path-${name}`, comment, { paths: list }, { count: list.length })
  const wrong = (name: string, comment: string, ...list: readonly string[]) =>
    bad(`path-${name}`, comment, { paths: list }, "RELEASE_INVALID")
  const of = (byteCount: number) => `${`${"a".repeat(127)}/`.repeat(8).slice(0, byteCount - 1)}b`
  return [
    right("plain", "Files and folders.", "a", "b/c", "b/d/e.txt", ".hidden", "-", "a b"),
    right("not-ascii", "Other alphabets, in NFC.", NFC, "\u043c\u043e\u0434\u0435\u043b\u044c"),
    right("longest", "1,024 bytes.", of(1024)),
    right("part-longest", "A part of 255 bytes.", "\u20ac".repeat(85)),
    right("prefix", "A name that begins like a file's.", "a", "ab/c", "a.txt"),
    right("device-inside", "A device's name within another.", "console", "aux-1", "com", "lpt10"),
    right("deepest", "32 parts.", `${"a/".repeat(31)}b`),
    right("tilde", "A tilde without a digit.", "a~b", "~", "1~"),
    right("dots", "Dots that are no way up.", "...a", "a..b", ".a"),
    wrong("empty", "No path.", ""),
    wrong("too-long", "1,025 bytes.", `${of(1024)}c`),
    wrong("part-too-long", "A part of 256 bytes.", "a".repeat(256)),
    wrong("part-too-long-bytes", "86 characters of 3 bytes.", "\u20ac".repeat(86)),
    wrong("up", "A way up.", "../a"),
    wrong("up-inside", "A way up inside.", "a/../b"),
    wrong("up-last", "A way up at the end.", "a/.."),
    wrong("here", "The folder itself.", "./a"),
    wrong("absolute", "From the root.", "/etc/passwd"),
    wrong("folder", "A slash at the end.", "a/"),
    wrong("part-empty", "Two slashes.", "a//b"),
    wrong("backslash", "A separator of Windows.", "a\\b"),
    wrong("drive", "A drive of Windows.", "C:a"),
    wrong("stream", "A second stream of a file.", "a:b"),
    wrong("question", "What Windows has in no name.", "a?b"),
    wrong("pipe", "What Windows has in no name.", "a|b"),
    wrong("nul", "A byte 0.", "a\0b"),
    wrong("control", "A line end.", "a\nb"),
    wrong("delete", "The control character 127.", "a\x7fb"),
    wrong("control-high", "The control character 133.", "a\u0085b"),
    wrong("trailing-dot", "Windows drops it.", "a."),
    wrong("trailing-dot-folder", "Windows drops it.", "a./b"),
    wrong("trailing-space", "Windows drops it.", "a "),
    wrong("too-deep", "33 parts.", `${"a/".repeat(32)}b`),
    wrong("short-name", "A short name of Windows.", "PROGRA~1/a"),
    wrong("unseen", "A character without a width.", "read\u200bme"),
    wrong("unseen-mark", "A mark at the start.", "\ufeffa"),
    wrong("direction", "A mark that turns the direction of text.", "a\u202etxt.exe"),
    wrong("line", "A line separator that is no control character.", "a\u2028b"),
    wrong("filler", "A letter without a form.", "a\u3164"),
    wrong("surrogate", "Half of a character: no UTF-8.", "a\ud800"),
    wrong("nfd", "Not in NFC.", NFD),
    wrong("device", "A device of Windows.", "b/CON"),
    wrong("device-folder", "A device as a folder.", "nul/a"),
    wrong("device-ending", "A device with an ending.", "Aux.c"),
    wrong("device-space", "A device with a space.", "com1 .txt"),
    wrong("device-superscript", "A digit that Windows takes for 2.", "lpt\u00b2"),
    wrong("twice", "One path twice.", "a", "a"),
    wrong("case", "Equal without case.", "a/README", "a/readme"),
    wrong("case-folder", "Folders equal without case, and then the file.", "A/b", "a/B"),
    wrong("case-sigma", "Two lower cases of one letter.", "\u03c3", "\u03c2"),
    wrong("case-sharp-s", "One letter, or two.", "stra\u00dfe", "STRASSE"),
    wrong("case-sharp-s-capital", "The capital of it.", "stra\u1e9ee", "strasse"),
    wrong("case-dotless", "A letter whose capital is another's.", "\u0131", "I"),
    wrong("nfd-clash", "One name in both forms.", NFC, NFD),
    wrong("file-and-folder", "A file is another's folder.", "a/b", "a"),
    wrong("file-and-folder-deep", "Two folders down.", "a/b", "a/b/c/d"),
    wrong("file-and-folder-case", "The same without case.", "A", "a/b"),
  ]
}

const VARIANTS = [
  { slots: {}, files: [0] },
  { slots: { arch: "arm64" }, files: [1] },
  { slots: { zone: "lab" }, files: [2] },
  { slots: { arch: "arm64", zone: "lab" }, files: [3] },
  { slots: { arch: "arm64", zone: "plant", board: "x1" }, files: [4] },
]

function variants(): Case[] {
  const chosen = (name: string, comment: string, labels: Fields, index: number, list = VARIANTS) =>
    good(`variant-${name}`, comment, { variants: list, labels }, { index })
  const none = (name: string, comment: string, labels: Fields, list: readonly Fields[]) =>
    bad(`variant-${name}`, comment, { variants: list, labels }, "NO_VARIANT")
  const [, arm, lab, both] = VARIANTS
  return [
    chosen("any", "No label fits: the one for every node.", { os: "linux" }, 0),
    chosen("one", "One label.", { arch: "arm64", zone: "plant" }, 1),
    chosen("most", "The one with the most slots.", { arch: "arm64", zone: "lab", board: "x1" }, 3),
    chosen(
      "order",
      "The order says nothing against more slots.",
      { arch: "arm64", zone: "lab" },
      0,
      [both!, arm!, lab!],
    ),
    chosen("tie", "Two of one size: the first.", { arch: "arm64", zone: "lab" }, 0, [lab!, arm!]),
    chosen("more-labels", "Labels that no slot asks for.", { zone: "lab", extra: "1" }, 0, [lab!]),
    none("none", "No variant for this node.", { arch: "amd64" }, [arm!, lab!]),
    none("partly", "One of two slots is not enough.", { arch: "arm64" }, [both!]),
    none("case", "Labels are compared as they are.", { arch: "ARM64" }, [arm!]),
    none("inherited", "What every object has is no label.", {}, [
      { slots: { constructor: "Object" }, files: [0] },
    ]),
  ]
}

export function nameCases(): Case[] {
  return [...names(), ...paths(), ...variants()]
}
