/**
 * One request to a web server that the node's owner allows: no redirects, and no more of the answer than
 * is shown.
 * @module
 */
import { messageOf } from "../core/errors.ts"
import { OutputTail } from "./output-tail.ts"

/** Of an answer that is wrong, its beginning: that is where a server says why. */
const BODY_BYTES_MAX = 1_024

/** What a server answered. */
export interface WebAnswer {
  /** What is wrong with it, in words; undefined for 200 … 299. */
  readonly fault: string | undefined
  /** The beginning of the body of an answer that is wrong, as one line. */
  readonly tail: string
}

/** Asks once. Never throws: that no answer came is one, too. */
export async function askWeb(
  url: URL,
  options: {
    readonly method: "GET" | "POST"
    /** JSON. */
    readonly body?: string
    readonly signal: AbortSignal
  },
): Promise<WebAnswer> {
  const { body, ...rest } = options
  const headers = {
    "user-agent": "sealift",
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  }
  try {
    // A redirect would lead to where the node's owner has not said that it may.
    const answer = await fetch(url, {
      ...rest,
      headers,
      redirect: "manual",
      ...(body === undefined ? {} : { body }),
    })
    if (answer.ok) {
      await answer.body?.cancel()
      return { fault: undefined, tail: "" }
    }
    return { fault: `it answered ${answer.status}`, tail: await beginningOf(answer) }
  } catch (error) {
    return { fault: `it gave no answer (${causeOf(error)})`, tail: "" }
  }
}

async function beginningOf(answer: Response): Promise<string> {
  const tail = new OutputTail()
  let sizeBytes = 0
  // Leaving the loop cancels the rest.
  for await (const part of answer.body ?? []) {
    const room = BODY_BYTES_MAX - sizeBytes
    tail.push(part.subarray(0, room))
    sizeBytes += part.length
    if (sizeBytes >= BODY_BYTES_MAX) break
  }
  return tail.text()
}

/** `fetch` says that it failed, and why in the cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return messageOf(cause)
}
