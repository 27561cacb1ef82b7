/**
 * The `Link` header (RFC 8288) as registries use it for the next page.
 * @module
 */

const HEADER_CHARS_MAX = 8192
const TARGET = /[ \t,]*<([^>]*)>/y
const PARAMETER =
  /[ \t]*;[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*=[ \t]*(?:"([^"]*)"|([^\s;,"]+)))?/y
const END = /[ \t]*(?:,|$)/y

/** Gives the target of the first link with `rel="next"`, as it stands; undefined when there is none. */
export function parseNextLink(header: string): string | undefined {
  if (header.length > HEADER_CHARS_MAX) return undefined
  for (let at = 0; at < header.length; ) {
    TARGET.lastIndex = at
    const target = TARGET.exec(header)?.[1]
    if (target === undefined) return undefined
    at = TARGET.lastIndex
    let relations: string | undefined
    for (PARAMETER.lastIndex = at; ; at = PARAMETER.lastIndex) {
      const parameter = PARAMETER.exec(header)
      if (parameter === null) break
      // RFC 8288 §3.3: of several `rel` parameters only the first counts.
      if (parameter[1]!.toLowerCase() === "rel") relations ??= parameter[2] ?? parameter[3] ?? ""
    }
    END.lastIndex = at
    if (!END.test(header)) return undefined
    at = END.lastIndex
    if (relations?.toLowerCase().split(/\s+/).includes("next") === true) return target
  }
  return undefined
}
