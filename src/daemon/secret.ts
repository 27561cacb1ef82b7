/**
 * Secrets by reference: read from a variable or a file when the node starts, never logged.
 * @module
 */
import { readFile } from "node:fs/promises"
import { messageOf } from "../core/errors.ts"
import type { UpstreamSettings } from "../registry/upstream/endpoint.ts"
import type { NodeConfig, UpstreamConfig } from "./config-schema.ts"
import type { SecretRef } from "./config-value.ts"
import { DaemonError } from "./errors.ts"

type Env = Readonly<Record<string, string | undefined>>

/** Reads all secrets of `upstreams`. @throws DaemonError `SECRET_MISSING`, `CONFIG_INVALID` */
export async function readUpstreams(
  config: NodeConfig,
  env: Env,
): Promise<Readonly<Record<string, UpstreamSettings>>> {
  const settings: Record<string, UpstreamSettings> = {}
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const { username: _username, password: _password, token: _token, ...rest } = upstream
    settings[name] = { ...rest, credentials: await readCredentials(name, upstream, env) }
  }
  return settings
}

async function readCredentials(
  name: string,
  upstream: UpstreamConfig,
  env: Env,
): Promise<UpstreamSettings["credentials"]> {
  const { username, password, token } = upstream
  if (token !== undefined) {
    if (username !== undefined || password !== undefined) {
      throw incomplete(name, "token excludes username and password")
    }
    return { token: await readSecret(`upstreams.${name}.token`, token, env) }
  }
  if (username === undefined && password === undefined) return undefined
  if (username === undefined || password === undefined) {
    throw incomplete(name, "username and password must both be given")
  }
  return { username, password: await readSecret(`upstreams.${name}.password`, password, env) }
}

async function readSecret(key: string, ref: SecretRef, env: Env): Promise<string> {
  const value = ref.from === "env" ? env[ref.name] : await readSecretFile(key, ref.name)
  if (value !== undefined && value !== "") return value
  throw new DaemonError("SECRET_MISSING", `${key}: ${ref.from}:${ref.name} is not set, or empty`, {
    details: { key },
  })
}

async function readSecretFile(key: string, path: string): Promise<string> {
  try {
    // Editors end a file with a line break, which belongs to no password.
    return (await readFile(path, "utf8")).replace(/\r?\n$/, "")
  } catch (error) {
    const message = `${key}: cannot read ${path}: ${messageOf(error)}`
    throw new DaemonError("SECRET_MISSING", message, { cause: error, details: { key } })
  }
}

function incomplete(name: string, rule: string): DaemonError {
  const message = `cannot use the configuration: upstreams.${name}: ${rule}`
  return new DaemonError("CONFIG_INVALID", message, { details: { key: `upstreams.${name}` } })
}
