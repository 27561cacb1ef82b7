/**
 * Where this machine takes its Debian packages from, read from its own configuration.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs"
import { run } from "./process.ts"

/** A package mirror; `uri` undefined leaves the choice to debootstrap. */
export interface DebianMirror {
  readonly uri: string | undefined
  readonly suite: string
}

const FALLBACK_SUITE = "bookworm"

/** Finds the mirror that serves this machine's own suite. */
export async function debianMirror(): Promise<DebianMirror> {
  const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1]
  const wanted = suite ?? FALLBACK_SUITE
  return { uri: sourceUris(wanted)[0], suite: wanted }
}

/** Both formats of sources.list(5): one line per source, and deb822 stanzas. */
function sourceUris(suite: string): string[] {
  const texts = ["/etc/apt/sources.list", ...listFolder("/etc/apt/sources.list.d")].map(readText)
  return texts.flatMap((text) => [...lineUris(text, suite), ...stanzaUris(text, suite)])
}

function lineUris(text: string, suite: string): string[] {
  const lines = text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s/gm)
  return [...lines].filter((line) => line[2] === suite).map((line) => line[1]!)
}

function stanzaUris(text: string, suite: string): string[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const suites = /^Suites:\s*(.*)$/m.exec(stanza)?.[1]?.split(/\s+/) ?? []
    const uri = /^URIs:\s*(\S+)/m.exec(stanza)?.[1]
    return uri !== undefined && suites.includes(suite) ? [uri] : []
  })
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /\.(list|sources)$/.test(name))
      .map((name) => `${folder}/${name}`)
  } catch {
    return []
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** The proxy that apt is told to use, as an environment for other programs. */
export async function aptProxy(): Promise<Record<string, string>> {
  const asked = await run(["apt-config", "shell", "P", "Acquire::http::Proxy"], { mayFail: true })
  const proxy = /^P='(.+)'/m.exec(asked.stdout)?.[1]
  return proxy === undefined ? {} : { http_proxy: proxy }
}
