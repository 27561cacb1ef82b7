/**
 * The client of a running node's control API (docs/api.md), over the socket that `node.json` names.
 * @module
 */
import { type IncomingMessage, request } from "node:http"
import { createInterface } from "node:readline"
import type { ErrorBody } from "../api/api.ts"
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import { readNodeFile } from "../daemon/node-file.ts"
import { CliError } from "./errors.ts"

/** Largest answer that is read whole. */
export const ANSWER_BYTES_MAX: number = 96 * 1024 * 1024
const ERROR_BYTES_MAX = 1024 * 1024

type Method = "GET" | "POST" | "DELETE"

/** Questions to one running node. All throw what the node reports, with its code. */
export interface ControlClient {
  /** Asks for one JSON document. @param body - bytes go as they are, anything else as JSON */
  ask<T>(method: Method, path: string, body?: unknown): Promise<T>
  /** Asks for an answer of lines; ending the iteration early closes the connection. */
  lines<T extends { readonly type: string }>(
    method: Method,
    path: string,
    body?: unknown,
  ): AsyncGenerator<Exclude<T, { readonly type: "error" }>>
  /** Asks for bytes, as they come. */
  bytes(path: string): Promise<AsyncIterable<Uint8Array>>
  /** Asks for bytes that are a file of at most {@link ANSWER_BYTES_MAX}. */
  file(method: Method, path: string, body?: unknown): Promise<Uint8Array>
}

/**
 * Finds the node that runs on a data directory.
 * @throws CliError `NODE_NOT_RUNNING`
 */
export async function connectToNode(
  directory: string,
  options: { signal: AbortSignal },
): Promise<ControlClient> {
  const node = await readNodeFile(directory)
  if (node === undefined) throw notRunning(directory)
  return new SocketClient(directory, node.control, options.signal)
}

class SocketClient implements ControlClient {
  readonly #directory: string
  readonly #socketPath: string
  readonly #signal: AbortSignal

  constructor(directory: string, socketPath: string, signal: AbortSignal) {
    this.#directory = directory
    this.#socketPath = socketPath
    this.#signal = signal
  }

  async ask<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const answer = await this.#send(method, path, body)
    return parseAnswer(textOf(await this.#read(answer, ANSWER_BYTES_MAX))) as T
  }

  async *lines<T extends { readonly type: string }>(
    method: Method,
    path: string,
    body?: unknown,
  ): AsyncGenerator<Exclude<T, { readonly type: "error" }>> {
    const answer = await this.#send(method, path, body)
    // readline passes an input's error on; the iteration below would end as if all were well.
    let fault: unknown
    const lines = createInterface({ input: answer }).on("error", (error) => {
      fault = error
    })
    let lastType: string | undefined
    try {
      for await (const text of lines) {
        const line = parseAnswer(text) as T | ({ type: "error" } & ErrorBody)
        if (line.type === "error") throw faultOf(line as unknown as ErrorBody)
        lastType = line.type
        yield line as Exclude<T, { readonly type: "error" }>
      }
    } finally {
      answer.destroy()
    }
    this.#signal.throwIfAborted()
    if (fault !== undefined || lastType !== "result") throw gone(fault)
  }

  async bytes(path: string): Promise<AsyncIterable<Uint8Array>> {
    return await this.#send("GET", path)
  }

  async file(method: Method, path: string, body?: unknown): Promise<Uint8Array> {
    return await this.#read(await this.#send(method, path, body), ANSWER_BYTES_MAX)
  }

  async #send(method: Method, path: string, body?: unknown): Promise<IncomingMessage> {
    const answer = await this.#request(method, path, body)
    if ((answer.statusCode ?? 500) < 300) return answer
    const error = parseAnswer(textOf(await this.#read(answer, ERROR_BYTES_MAX)))
    throw faultOf(error as ErrorBody)
  }

  #request(method: Method, path: string, body: unknown): Promise<IncomingMessage> {
    const signal = this.#signal
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": typeOf(body) }
      const asking = request({ socketPath: this.#socketPath, method, path, headers, signal })
      asking.once("response", resolve)
      asking.once("error", (error) => {
        if (signal.aborted) reject(signal.reason)
        else if (isAbsence(error)) reject(notRunning(this.#directory, error))
        else reject(gone(error))
      })
      if (body === undefined) asking.end()
      else asking.end(body instanceof Uint8Array ? body : JSON.stringify(body))
    })
  }

  async #read(answer: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let sizeBytes = 0
    try {
      for await (const part of answer as AsyncIterable<Uint8Array>) {
        parts.push(part)
        sizeBytes += part.length
        if (sizeBytes > bytesMax) throw new CliError("NODE_GONE", "the node's answer is too long")
      }
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason
      throw error instanceof CodedError ? error : gone(error)
    }
    return Buffer.concat(parts)
  }
}

function typeOf(body: unknown): string {
  return body instanceof Uint8Array ? "application/octet-stream" : "application/json"
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw gone(error)
  }
}

function faultOf(body: ErrorBody): CodedError {
  const { code, message, details } = body.error ?? { code: "INTERNAL", message: "no reason given" }
  return new CodedError(code, message, details === undefined ? {} : { details: { ...details } })
}

function isAbsence(error: unknown): boolean {
  return ["ENOENT", "ECONNREFUSED", "ENOTSOCK"].includes(codeOf(error) ?? "")
}

function notRunning(directory: string, cause?: unknown): CliError {
  return new CliError(
    "NODE_NOT_RUNNING",
    `no node runs on ${directory}; start one with "sealift node --data ${directory}", or name another directory by --data`,
    { cause, details: { data: directory } },
  )
}

function gone(cause: unknown): CliError {
  const reason = cause === undefined ? "" : `: ${messageOf(cause)}`
  return new CliError("NODE_GONE", `the node broke off its answer${reason}; its log says why`, {
    cause,
  })
}
