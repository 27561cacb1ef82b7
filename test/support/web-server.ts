/**
 * nginx with one folder, as an operator has it.
 * @module
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { freePort, start } from "./process.ts"
import type { Workspace } from "./workspace.ts"

/** A server that runs until the workspace is closed. */
export interface WebServer {
  /** Without a slash at its end. */
  readonly url: string
}

/** Starts nginx on a free port of loopback. */
export async function startWebServer(workspace: Workspace, folder: string): Promise<WebServer> {
  const place = await workspace.folder("nginx")
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
  const config = [
    "daemon off; master_process off; user root; error_log stderr crit;",
    `pid ${place}/pid;`,
    "events { worker_connections 64; }",
    "http { access_log off;",
    ...scratch.map((name) => `${name}_temp_path ${place}/${name};`),
    `server { listen 127.0.0.1:${port}; root ${folder}; } }`,
  ]
  const path = join(place, "nginx.conf")
  await writeFile(path, config.join("\n"))
  const command = ["nginx", "-e", "stderr", "-p", place, "-c", path]
  const isReady = async () => (await fetch(url).catch(() => undefined)) !== undefined
  const program = await start(command, { isReady })
  workspace.defer(() => program.stop())
  return { url }
}
