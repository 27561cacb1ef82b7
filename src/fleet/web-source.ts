/**
 * A web server as a source of TUF files: a folder that `sealift fleet export --folder` wrote, behind any
 * URL of the operator's own. It is not trusted (protocol/fleet.md §5, the TUF exchange).
 * @module
 */
import { Agent, request } from "undici"
import { readBoundedBody } from "../core/bounded-body.ts"
import type { Clock } from "../core/clock.ts"
import { startDeadline } from "../net/deadline.ts"
import { TrustError } from "../trust/errors.ts"
import { isFileName, type TufSource, tooLarge } from "../trust/tuf/tuf-source.ts"

/** A file has 4 MiB at most; a server that needs longer for one is no help. */
const FILE_TIMEOUT_MS = 15_000
const SOCKETS_MAX = 4
const HEADERS_BYTES_MAX = 16 * 1024
const HEADERS = { "user-agent": "sealift", "accept-encoding": "identity" }

/** Whether a text is the URL of such a server. A name and a password in it would end up in logs. */
export function isWebUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !["http:", "https:"].includes(url.protocol)) return false
  return url.search === "" && url.hash === "" && url.username === "" && url.password === ""
}

/** A source with connections that are kept until it is closed. */
export interface WebSource extends TufSource {
  readonly url: string
  close(): Promise<void>
}

/**
 * Gives the files below a URL, `http:` or `https:`. Redirects are not followed: the operator named a
 * server, and nobody else.
 */
export function webSource(clock: Clock, url: string): WebSource {
  const base = url.endsWith("/") ? url : `${url}/`
  const agent = new Agent({ connections: SOCKETS_MAX, maxHeaderSize: HEADERS_BYTES_MAX })
  return {
    url,
    close: () => agent.destroy(),
    read: async (name, { bytesMax, signal }) => {
      if (!isFileName(name)) return undefined
      const deadline = startDeadline(clock, FILE_TIMEOUT_MS, signal)
      const options = { dispatcher: agent, headers: HEADERS, signal: deadline.signal }
      try {
        const { statusCode, body } = await request(new URL(pathOf(name), base), options)
        // A body that is ended early has an error of its own, which nobody needs.
        body.on("error", () => {})
        if (statusCode === 200) {
          return await readBoundedBody(body, bytesMax, () => tooLarge(name, bytesMax))
        }
        body.destroy()
        if (statusCode === 404 || statusCode === 410) return undefined
        throw new TrustError("SOURCE_UNAVAILABLE", `${url} answers ${statusCode} for ${name}`)
      } catch (cause) {
        signal?.throwIfAborted()
        if (cause instanceof TrustError) throw cause
        throw new TrustError("SOURCE_UNAVAILABLE", `${url} gives no ${name}`, { cause })
      } finally {
        deadline.clear()
      }
    },
  }
}

/** Names have characters that a URL's path reads as something else, such as `%`. */
function pathOf(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/")
}
