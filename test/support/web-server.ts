/**
 * nginx with one folder, as an operator has it.
 * @module
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { freePort, type Program, start } from "./process.ts"
import type { Workspace } from "./workspace.ts"

/** A server that runs until the workspace is closed. */
export interface WebServer {
  /** Without a slash at its end. */
  readonly url: string
}

/** Starts nginx until the workspace is closed. */
export async function startWebServer(workspace: Workspace, folder: string): Promise<WebServer> {
  const { program, url } = await startNginx(await workspace.folder("nginx"), folder)
  workspace.defer(() => program.stop())
  return { url }
}

/**
 * Starts nginx on a free port of loopback: one process, one connection per client.
 * @param place - folder for what it writes itself
 */
export async function startNginx(
  place: string,
  folder: string,
): Promise<{ readonly program: Program; readonly url: string }> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
  const config = [
    "daemon off; master_process off; user root; error_log stderr crit;",
    `pid ${place}/pid;`,
    "events { worker_connections 1024; }",
    "http { access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000;",
    ...scratch.map((name) => `${name}_temp_path ${place}/${name};`),
    `server { listen 127.0.0.1:${port}; root ${folder}; } }`,
  ]
  const path = join(place, "nginx.conf")
  await writeFile(path, config.join("\n"))
  const command = ["nginx", "-e", "stderr", "-p", place, "-c", path]
  const isReady = async () => {
    const answer = await fetch(url).catch(() => undefined)
    await answer?.body?.cancel()
    return answer !== undefined
  }
  return { program: await start(command, { isReady }), url }
}
