/** Checks the code itself: floors, packages, docstrings, protocol vectors, the list of dependencies. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path/posix"
import { describe, expect, test } from "vitest"
import { namedModules } from "./support/named-modules.ts"

// Lowest first. A folder imports from itself and from strictly lower floors, so no cycle can form.
const FLOORS: readonly (readonly string[])[] = [
  ["core"],
  ["disk"],
  ["trust", "seal", "store", "net"],
  ["fleet", "swarm", "audit"],
  ["delivery"],
  ["registry", "hub", "release"],
  ["rollout"],
  ["api"],
  ["daemon"],
  ["cli"],
]

// The only folders that may name a package. Swapping a package means editing one folder.
const PACKAGES: Record<string, readonly string[]> = {
  "@libp2p/circuit-relay-v2": ["net"],
  "@libp2p/crypto": ["net"],
  "@libp2p/gossipsub": ["net"],
  "@libp2p/identify": ["net"],
  "@libp2p/interface": ["net"],
  "@libp2p/kad-dht": ["net"],
  "@libp2p/mdns": ["net"],
  "@libp2p/noise": ["net"],
  "@libp2p/peer-id": ["net"],
  "@libp2p/ping": ["net"],
  "@libp2p/tcp": ["net"],
  "@libp2p/yamux": ["net"],
  "@multiformats/multiaddr": ["net"],
  "@noble/ed25519": ["trust"],
  "@tufjs/models": ["trust"],
  "age-encryption": ["seal"],
  "bittorrent-dht": ["swarm"],
  "cli-progress": ["cli"],
  commander: ["cli"],
  fastify: ["registry", "hub", "api"],
  level: ["store"],
  libp2p: ["net"],
  "node-datachannel": ["swarm"],
  pino: ["daemon"],
  "prom-client": ["api"],
  "shamir-secret-sharing": ["seal"],
  "tar-stream": ["release"],
  "tuf-js": ["trust"],
  uqr: ["cli"],
  undici: ["registry", "hub", "cli", "fleet"],
  ws: ["swarm"],
  yaml: ["daemon"],
  zod: ["daemon"],
}

// No files, no sockets: clock and randomness are passed in.
const PURE: readonly string[] = ["core"]
const PURE_MODULES: readonly string[] = ["node:crypto"]
const BANNED_NAMES = /(^|[/-])(utils?|helpers?|common|manager|service|data|info|handle)(-|\.|\/|$)/

const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((path) => path.includes("/") && path.endsWith(".ts"))
  .map((path) => ({
    path,
    folder: path.split("/")[0]!,
    text: readFileSync(`src/${path}`, "utf8"),
  }))

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Record<
  "dependencies" | "devDependencies" | "optionalDependencies",
  Record<string, string>
>

const floorOf = (folder: string) => FLOORS.findIndex((floor) => floor.includes(folder))

function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")
}

/** Gives what is wrong with naming `specifier` from the file `path` of `folder`, or undefined. */
function importFault(path: string, folder: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) {
    const target = join(dirname(path), specifier).split("/")[0]!
    if (target === folder) return undefined
    if (floorOf(target) < 0) return `${specifier}: no such folder`
    return floorOf(target) < floorOf(folder) ? undefined : `${specifier}: not a lower floor`
  }
  if (specifier.startsWith("node:")) {
    const allowed = !PURE.includes(folder) || PURE_MODULES.includes(specifier)
    return allowed ? undefined : `${specifier}: ${folder} is pure`
  }
  const name = packageOf(specifier)
  return PACKAGES[name]?.includes(folder) === true
    ? undefined
    : `${name}: not a package of ${folder}`
}

describe.each(sources)("src/$path", ({ path, folder, text }) => {
  test("imports only lower floors and the packages of its room", () => {
    const faults = namedModules(path, text).map((specifier) => importFault(path, folder, specifier))
    expect(faults.filter((fault) => fault !== undefined)).toEqual([])
  })

  test("opens with a module docstring and has a name that says what it is", () => {
    expect(text).toMatch(/^(#!.*\n)?\/\*\*[\s\S]*?@module\n \*\//)
    expect(path).not.toMatch(BANNED_NAMES)
  })
})

test("every folder of src has a floor", () => {
  const folders = new Set(sources.map((source) => source.folder))
  expect([...folders].filter((folder) => floorOf(folder) < 0)).toEqual([])
})

test("every protocol page has vectors", () => {
  const pages = readdirSync("protocol").filter((name) => name.endsWith(".md"))
  const bare = pages.filter((name) => name !== "README.md")
  expect(bare.filter((name) => !existsSync(`protocol/${name.slice(0, -3)}/vectors`))).toEqual([])
})

test("every dependency has a room and a row in docs/dependencies.md", () => {
  const page = readFileSync("docs/dependencies.md", "utf8")
  const runtime = Object.keys(manifest.dependencies)
  expect(runtime.filter((name) => PACKAGES[name] === undefined)).toEqual([])
  expect(Object.keys(PACKAGES).filter((name) => !runtime.includes(name))).toEqual([])
  const all = [
    ...runtime,
    ...Object.keys(manifest.devDependencies),
    ...Object.keys(manifest.optionalDependencies),
  ]
  expect(all.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
})

test("every version in package.json is exact", () => {
  const all = [
    ...Object.entries(manifest.dependencies),
    ...Object.entries(manifest.devDependencies),
    ...Object.entries(manifest.optionalDependencies),
  ]
  expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
})
