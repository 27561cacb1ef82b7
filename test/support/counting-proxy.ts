/**
 * A streaming HTTP proxy in front of a registry that counts every body byte it passes on, and can be
 * told to misbehave. It is how tests know what a registry really sent.
 * @module
 */

import type { ServerResponse } from "node:http"
import { type ClientRequest, createServer, type IncomingMessage, request } from "node:http"
import type { AddressInfo } from "node:net"

/** One request that went through. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly userAgent: string
  readonly range: string | undefined
  status: number
  /** Body bytes handed to the asker's socket. */
  sentBytes: number
}

/** What the proxy does instead of asking the registry, or to what the registry says. */
export type Fault =
  | { readonly kind: "hang" }
  | {
      readonly kind: "status"
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
    }
  /** Sends that many body bytes, then breaks the connection. */
  | { readonly kind: "truncate"; readonly afterBytes: number }
  /** Flips one bit of the body at that offset. */
  | { readonly kind: "flip"; readonly atByte: number }

/** A registry with a counter in front. */
export interface CountingProxy {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly requests: readonly SeenRequest[]
  /** Body bytes of GETs of that blob, or of all blobs. */
  blobBytes(digest?: string): number
  reset(): void
  /** From now on: what to do to a request; undefined passes it on. */
  setFault(fault: ((seen: SeenRequest) => Fault | undefined) | undefined): void
  close(): Promise<void>
}

const BLOB_PATH = /^\/v2\/.+\/blobs\/(sha256:[0-9a-f]{64})(?:\?|$)/

/** Starts a proxy to `targetHost` (`127.0.0.1:port`) on `listenHost`. */
export async function startCountingProxy(
  targetHost: string,
  options: { readonly listenHost?: string; readonly port?: number } = {},
): Promise<CountingProxy> {
  const requests: SeenRequest[] = []
  let decide: ((seen: SeenRequest) => Fault | undefined) | undefined
  const server = createServer((asked, answer) => {
    const seen = describeRequest(asked)
    requests.push(seen)
    passOn(targetHost, seen, decide?.(seen), asked, answer)
  })
  await new Promise<void>((resolve) =>
    server.listen(options.port ?? 0, options.listenHost ?? "127.0.0.1", resolve),
  )
  const { port } = server.address() as AddressInfo
  return {
    host: `${options.listenHost ?? "127.0.0.1"}:${port}`,
    requests,
    blobBytes: (digest) => sumBlobBytes(requests, digest),
    reset: () => void requests.splice(0),
    setFault: (fault) => {
      decide = fault
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function sumBlobBytes(requests: readonly SeenRequest[], digest: string | undefined): number {
  const isCounted = ({ method, path }: SeenRequest) => {
    const found = BLOB_PATH.exec(path)?.[1]
    return method === "GET" && found !== undefined && (digest === undefined || digest === found)
  }
  return requests.filter(isCounted).reduce((sum, { sentBytes }) => sum + sentBytes, 0)
}

function describeRequest(asked: IncomingMessage): SeenRequest {
  return {
    method: asked.method ?? "",
    path: asked.url ?? "",
    userAgent: asked.headers["user-agent"] ?? "",
    range: asked.headers.range,
    status: 0,
    sentBytes: 0,
  }
}

function passOn(
  targetHost: string,
  seen: SeenRequest,
  fault: Fault | undefined,
  asked: IncomingMessage,
  answer: ServerResponse,
): void {
  if (fault?.kind === "hang") return
  if (fault?.kind === "status") {
    seen.status = fault.status
    answer.writeHead(fault.status, { "content-type": "application/json", ...fault.headers })
    answer.end('{"errors":[]}')
    return
  }
  const [hostname, port] = targetHost.split(":")
  const onward = request(
    { hostname, port, method: seen.method, path: seen.path, headers: asked.headers },
    (body) => passBack(seen, fault, onward, body, answer),
  )
  onward.on("error", () => answer.destroy())
  answer.on("close", () => onward.destroy())
  asked.pipe(onward)
}

function passBack(
  seen: SeenRequest,
  fault: Fault | undefined,
  onward: ClientRequest,
  body: IncomingMessage,
  answer: ServerResponse,
): void {
  seen.status = body.statusCode ?? 0
  answer.writeHead(seen.status, body.rawHeaders)
  answer.flushHeaders()
  body.on("data", (chunk: Uint8Array) => {
    const { bytes, isLast } = applyFault(fault, seen.sentBytes, chunk)
    seen.sentBytes += bytes.length
    const hasRoom = answer.write(bytes)
    if (isLast) {
      answer.write(new Uint8Array(0), () => answer.destroy())
      onward.destroy()
    } else if (!hasRoom) {
      body.pause()
      answer.once("drain", () => body.resume())
    }
  })
  body.on("end", () => answer.end())
  body.on("error", () => answer.destroy())
}

function applyFault(
  fault: Fault | undefined,
  offset: number,
  chunk: Uint8Array,
): { bytes: Uint8Array; isLast: boolean } {
  if (fault?.kind === "truncate" && offset + chunk.length >= fault.afterBytes)
    return { bytes: chunk.subarray(0, fault.afterBytes - offset), isLast: true }
  if (fault?.kind === "flip" && fault.atByte >= offset && fault.atByte < offset + chunk.length) {
    const bytes = Uint8Array.from(chunk)
    bytes[fault.atByte - offset]! ^= 1
    return { bytes, isLast: false }
  }
  return { bytes: chunk, isLast: false }
}
