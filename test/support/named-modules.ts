/** Reads which modules a TypeScript file names. (TypeScript 7 has no JavaScript API for this.) */
import { parseSync } from "oxc-parser"

/** Gives the specifiers of all static and dynamic imports (type-only ones too) and re-exports. */
export function namedModules(path: string, text: string): string[] {
  const { staticImports, staticExports, dynamicImports } = parseSync(path, text).module
  const imported = staticImports.map((entry) => entry.moduleRequest.value)
  const exported = staticExports.flatMap((entry) =>
    entry.entries.map((part) => part.moduleRequest?.value),
  )
  const literal = dynamicImports
    .map((entry) => text.slice(entry.moduleRequest.start, entry.moduleRequest.end))
    .filter((source) => /^["'].*["']$/.test(source))
    .map((source) => source.slice(1, -1))
  return [...imported, ...exported.filter((name) => name !== undefined), ...literal]
}

/** Gives the specifiers that are loaded with the file itself: no types, no dynamic imports. */
export function staticModules(path: string, text: string): string[] {
  const { staticImports, staticExports } = parseSync(path, text).module
  const isValue = (entry: { entries: readonly { isType: boolean }[] }) =>
    entry.entries.length === 0 || entry.entries.some((part) => !part.isType)
  const imported = staticImports.filter(isValue).map((entry) => entry.moduleRequest.value)
  const exported = staticExports
    .flatMap((entry) => entry.entries)
    .map((part) => (part.isType ? undefined : part.moduleRequest?.value))
  return [...imported, ...exported.filter((name) => name !== undefined)]
}
