/** The pages: they name all that there is, nothing that there is not, and every link leads somewhere. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, test } from "vitest"
import { exitCodeOf } from "../src/cli/exit-code.ts"
import { CONFIG_DEFAULTS, CONFIG_KEYS, FILE_KEYS } from "../src/daemon/config-schema.ts"

const read = (path: string) => readFileSync(path, "utf8")
const pages = ["README.md", "CHANGELOG.md", ...globSync(["docs/**/*.md", "protocol/*.md"])].map(
  (path) => ({ path, text: read(path).replace(/^```[\s\S]*?^```/gm, "") }),
)
const sources = globSync("src/**/*.ts").map((path) => ({ path, text: read(path) }))
const pageOf = (path: string) => pages.find((page) => page.path === path)?.text ?? ""
/** Cells of the rows of a page's tables. */
const rowsOf = (path: string) =>
  pageOf(path)
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.split(/ ?(?<!\\)\| ?/).slice(1, -1))
const quoted = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!)

describe.each(pages)("$path", ({ path, text }) => {
  test("has links that lead somewhere", () => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
    const dead = links.filter((link) => {
      if (/^https?:/.test(link)) return false
      const [file, anchor] = link.split("#") as [string, string?]
      const target = file === "" ? path : join(dirname(path), file)
      if (!existsSync(target)) return true
      return anchor !== undefined && !anchorsOf(target).includes(anchor)
    })
    expect(dead).toEqual([])
  })
})

/** As GitHub makes them of headings. */
function anchorsOf(path: string): string[] {
  const headings = [...pageOf(path).matchAll(/^#+ +(.*)$/gm)].map(([, heading]) => heading!)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, "")
      .replaceAll(" ", "-"),
  )
}

test("every decision, and every protocol page, is in its list", () => {
  for (const folder of ["docs/decisions", "protocol"]) {
    const names = globSync(`${folder}/*.md`).map((path) => path.slice(folder.length + 1))
    const list = pageOf(`${folder}/README.md`)
    expect(names.filter((name) => name !== "README.md" && !list.includes(`(${name})`))).toEqual([])
  }
})

describe("docs/configuration.md", () => {
  const rows = rowsOf("docs/configuration.md")

  test("has every setting, with its variable, its flag and its default", () => {
    for (const { path, variable, flag = "–" } of CONFIG_KEYS) {
      const row = rows.find(([key]) => key === `\`${path}\``)
      expect([path, quoted(row?.[1] ?? "")]).toEqual([path, [variable]])
      expect(row?.[2]).toContain(flag)
      const value = CONFIG_DEFAULTS[path]
      if (value === undefined) continue
      const shown = [value].flat().map((one) => `\`${one}\``)
      expect([path, row?.[3]]).toEqual([path, shown.length === 0 ? "none" : shown.join(", ")])
    }
  })

  test("has what only the file can say, and nothing that is no setting", () => {
    const named = rows.flatMap(([key, variable]) => (variable === undefined ? [] : quoted(key!)))
    const settings = rows.filter((row) => row.length === 5).flatMap(([key]) => quoted(key!))
    expect(FILE_KEYS.filter((key) => !named.includes(key))).toEqual([])
    const known = [...CONFIG_KEYS.map(({ path }) => path), ...FILE_KEYS]
    expect(settings.filter((key) => !known.includes(key))).toEqual([])
  })
})

describe("error codes", () => {
  const codes = new Set(
    sources
      .filter(({ path }) => path.endsWith("/errors.ts"))
      .flatMap(({ text }) =>
        [...text.matchAll(/^ {2}\| "([A-Z0-9_]+)"/gm)].map(([, code]) => code!),
      ),
  )
  const all = pages.map(({ text }) => text).join("\n")

  test("stand on some page, all of them", () => {
    expect(codes.size).toBeGreaterThan(200)
    expect([...codes].filter((code) => !all.includes(`\`${code}\``))).toEqual([])
  })

  test("have the exit code that docs/errors.md says", () => {
    const rows = rowsOf("docs/errors.md").filter(([exit]) => /^\d+$/.test(exit!))
    const said = rows.flatMap(([exit, , list]) => quoted(list!).map((code) => [code, Number(exit)]))
    const known = [...codes].map((code) => [code, exitCodeOf(code)] as const)
    expect(said.toSorted()).toEqual(known.filter(([, exit]) => exit !== 1).toSorted())
  })
})

describe("docs/metrics.md", () => {
  const named = rowsOf("docs/metrics.md")
    .flatMap(([name]) => quoted(name!))
    .flatMap(expanded)
  /** Names, and what stands before and after the first part that a program fills in. */
  const made = sources.flatMap(({ text }) =>
    [...text.matchAll(/["`](sealift_[a-z_]*)(\$\{[^"`]*?([a-z_]*))?["`]/g)].map(
      ([, start, filled, end]) => ({
        start: start!,
        isWhole: filled === undefined,
        end: end ?? "",
      }),
    ),
  )

  test("has every metric, and none that there is not", () => {
    expect(made.length).toBeGreaterThan(30)
    const fits = (name: string, { start, isWhole, end }: (typeof made)[number]) =>
      isWhole ? name === start : name.startsWith(start) && name.endsWith(end)
    expect(made.filter((one) => !named.some((name) => fits(name, one)))).toEqual([])
    expect(named.filter((name) => !made.some((one) => fits(name, one)))).toEqual([])
  })
})

/** Writes out `{a,b}`. */
function expanded(name: string): string[] {
  const [, before, words, after] = /^(.*?)\{([^}]*)\}(.*)$/.exec(name) ?? []
  if (words === undefined) return [name]
  return words.split(",").flatMap((word) => expanded(`${before}${word}${after}`))
}
