/**
 * The effective configuration: defaults, then the file, then variables, then flags; each value keeps
 * where it came from.
 * @module
 */
import { existsSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { dirname, join, resolve } from "node:path"
import { type ConfigIssue, configFault } from "./config-fault.ts"
import { type ConfigFile, readConfigFile } from "./config-file.ts"
import {
  allowedKeysAt,
  CONFIG_DEFAULTS,
  CONFIG_KEYS,
  configSchema,
  FILE_KEYS,
  type NodeConfig,
} from "./config-schema.ts"
import { variablesOf } from "./config-variable.ts"
import { DaemonError } from "./errors.ts"
import { type ConfigInput, dataDirectoryOf, defaultDirectory } from "./node-directory.ts"

/**
 * A value and where it came from: `default`, `FILE:LINE`, `SEALIFT_…` or `--…`. Null: nobody has said
 * any, and there is no default.
 */
export interface ConfigEntry {
  readonly key: string
  readonly value: unknown
  readonly source: string
}

export interface LoadedConfig {
  readonly config: NodeConfig
  /** All settings as given, for `sealift config`; secrets stand there by reference only. */
  readonly entries: readonly ConfigEntry[]
}

const FILE_NAME = "config.yaml"
/** The tables whose parts are settings of their own. */
const TABLES: readonly string[] = ["public", "rollout", "log", "limits"]

/** Settings by path; a later layer replaces what an earlier one put. */
class Settings {
  readonly #byKey = new Map<string, { path: readonly string[]; value: unknown; source: string }>()

  put(path: readonly string[], value: unknown, source: string): void {
    this.#byKey.set(JSON.stringify(path), { path, value, source })
  }

  get(path: readonly string[]) {
    return this.#byKey.get(JSON.stringify(path))
  }

  /** Gives the settings as one nested table. */
  table(): Record<string, unknown> {
    const root: Record<string, unknown> = {}
    for (const { path, value } of this.#byKey.values()) {
      const [key, part] = path as [string, string?]
      const entry = part === undefined ? value : { ...(root[key] as object), [part]: value }
      Object.defineProperty(root, key, { value: entry, enumerable: true, configurable: true })
    }
    return root
  }
}

/** Reads the configuration. @throws DaemonError `CONFIG_INVALID` */
export async function loadConfig(input: ConfigInput): Promise<LoadedConfig> {
  const variables = variablesOf(input.env)
  const settings = new Settings()
  for (const [path, value] of Object.entries(CONFIG_DEFAULTS)) {
    settings.put(path.split("."), value, "default")
  }
  const file = await findFile(input)
  if (file !== undefined) putFile(settings, file)
  for (const { path, variable } of CONFIG_KEYS) {
    const value = variables.values[path]
    if (value !== undefined) settings.put(path.split("."), value, variable)
  }
  for (const { path, flag } of CONFIG_KEYS) {
    const value = input.flags[path]
    if (flag === undefined || value === undefined) continue
    const given = value === false ? flag.replace("--", "--no-") : flag
    settings.put(path.split("."), value, given)
  }
  putDependent(settings, input.env, file)
  const config = check(settings, file)
  variables.refuseUnknown(config)
  return { config, entries: entriesOf(settings) }
}

async function findFile(input: ConfigInput): Promise<ConfigFile | undefined> {
  const named = input.flags.config ?? (input.env.SEALIFT_CONFIG || undefined)
  if (named === undefined) return await readOwnFile(dataDirectoryOf(input))
  const path = resolve(String(named))
  const file = await readConfigFile(path)
  if (file !== undefined) return file
  throw new DaemonError(
    "CONFIG_INVALID",
    `cannot use the configuration: there is no file ${path}`,
    {
      details: { key: "config", value: path },
    },
  )
}

/** Reads `DATA/config.yaml`, which cannot move the data directory that it was found in. */
async function readOwnFile(directory: string): Promise<ConfigFile | undefined> {
  const file = await readConfigFile(join(directory, FILE_NAME))
  const data = file?.values.data
  if (file === undefined || data === undefined) return file
  if (typeof data === "string" && resolve(directory, data) === directory) return file
  const source = sourceIn(file, ["data"])
  throw new DaemonError(
    "CONFIG_INVALID",
    `cannot use the configuration: data is ${JSON.stringify(data)} (${source}), but the file lies in ${directory}; allowed: that directory, or name this file by --config`,
    { details: { key: "data", value: data, source } },
  )
}

function putFile(settings: Settings, file: ConfigFile): void {
  for (const [key, value] of Object.entries(file.values)) {
    const isTable = typeof value === "object" && value !== null && !Array.isArray(value)
    if (!TABLES.includes(key) || !isTable) {
      settings.put([key], value, sourceIn(file, [key]))
      continue
    }
    for (const [part, inner] of Object.entries(value)) {
      settings.put([key, part], inner, sourceIn(file, [key, part]))
    }
  }
}

function sourceIn(file: ConfigFile, path: readonly PropertyKey[]): string {
  return `${file.path}:${file.lineOf(path) ?? 1}`
}

function isFrom(file: ConfigFile | undefined, source: string): file is ConfigFile {
  return file !== undefined && source.startsWith(`${file.path}:`)
}

/** Puts the defaults that follow from other settings, and makes the data directory absolute. */
function putDependent(
  settings: Settings,
  env: ConfigInput["env"],
  file: ConfigFile | undefined,
): void {
  const data = settings.get(["data"])
  if (data === undefined) settings.put(["data"], defaultDirectory(env), "default")
  else if (typeof data.value === "string" && data.value !== "") {
    const base = isFrom(file, data.source) ? dirname(file.path) : "."
    settings.put(["data"], resolve(base, data.value), data.source)
  }
  // In a fleet identity decides who gets more than a closed connection.
  const isOpen = settings.get(["lan"])?.value === true || isInFleet(settings.get(["data"])?.value)
  if (settings.get(["p2p"]) === undefined) settings.put(["p2p"], defaultListen(isOpen), "default")
  if (settings.get(["mdns"]) === undefined) settings.put(["mdns"], isOpen, "default")
}

/** Looks for the record that a node of a fleet has (`fleet/fleet-home.ts`). */
function isInFleet(data: unknown): boolean {
  return typeof data === "string" && existsSync(join(data, "fleet", "fleet.json"))
}

/** Loopback, or every interface of the LAN; IPv6 only on a machine that has it. */
export function defaultListen(isLan: boolean): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const hasIpv6 = addresses.some(({ address }) => address === "::1")
  const four = isLan ? "/ip4/0.0.0.0/tcp/7071" : "/ip4/127.0.0.1/tcp/7071"
  const six = isLan ? "/ip6/::/tcp/7071" : "/ip6/::1/tcp/7071"
  return hasIpv6 ? [four, six] : [four]
}

function check(settings: Settings, file: ConfigFile | undefined): NodeConfig {
  const root = settings.table()
  const result = configSchema.safeParse(root)
  if (result.success) return result.data
  throw configFault(result.error.issues[0] as ConfigIssue, root, {
    keysAt: allowedKeysAt,
    sourceOf(path) {
      const [key, part] = path.map(String) as [string, string?]
      const setting = settings.get([key, part ?? ""]) ?? settings.get([key])
      if (setting === undefined || !isFrom(file, setting.source)) {
        return setting?.source ?? "default"
      }
      return sourceIn(file, path)
    },
  })
}

function entriesOf(settings: Settings): ConfigEntry[] {
  const keys = [...CONFIG_KEYS.map(({ path }) => path), ...FILE_KEYS]
  return keys.map((key) => {
    const { value = null, source = "default" } = settings.get(key.split(".")) ?? {}
    return { key, value, source }
  })
}
