/**
 * dockerd: `registry-mirrors` in daemon.json. It asks mirrors for Docker Hub's images only, and names
 * no registry when it does, so the node's `defaultUpstream` must be docker.io.
 * @module
 */
import { join } from "node:path"
import { CliError } from "../../cli/errors.ts"
import type { SetupPlace, SetupPlan } from "../../cli/setup/client.ts"
import { asArray, asObject, field, type JsonObject, parseJson } from "../../core/json.ts"
import { DOCKER_HUB } from "../../core/reference.ts"

const DAEMON_JSON = "/etc/docker/daemon.json"
const MIRRORS = "registry-mirrors"

/** Plans the changes: dockerd's file, and the node's. */
export async function planDocker(place: SetupPlace): Promise<SetupPlan> {
  const { withDefaultUpstream } = await import("../../daemon/config-file.ts")
  const path = place.at(DAEMON_JSON)
  const config = join(place.data, "config.yaml")
  return {
    changes: [
      { path, content: (before) => daemonJson(path, place.http, before) },
      { path: config, content: (before) => withDefaultUpstream(config, before, DOCKER_HUB) },
    ],
    notes: [
      "Restart dockerd (systemctl restart docker), and the node if it runs.",
      "dockerd asks mirrors for Docker Hub's images only; any other is pulled by its path, docker pull 127.0.0.1:7070/quay.io/NAME.",
    ],
  }
}

function daemonJson(path: string, http: string, before: string | undefined): string {
  const root = before === undefined || before.trim() === "" ? {} : parseDaemonJson(path, before)
  const others = (asArray(field(root, MIRRORS)) ?? []).filter((mirror) => mirror !== http)
  return `${JSON.stringify({ ...root, [MIRRORS]: [http, ...others] }, undefined, 2)}\n`
}

function parseDaemonJson(path: string, text: string): JsonObject {
  let root: JsonObject | undefined
  try {
    root = asObject(parseJson(Buffer.from(text)))
  } catch (error) {
    throw new CliError("SETUP_FAILED", `${path} is not valid JSON`, { cause: error })
  }
  if (root !== undefined) return root
  throw new CliError("SETUP_FAILED", `${path} holds no JSON object`)
}
