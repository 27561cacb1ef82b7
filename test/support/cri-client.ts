/**
 * The one call of the Kubernetes container runtime interface that a pull needs, over gRPC by hand:
 * HTTP/2, a five-byte frame header, and protobuf fields of wire type 2.
 * @module
 */
import { type ClientHttp2Session, connect, constants } from "node:http2"
import { createConnection } from "node:net"

const PULL_PATH = "/runtime.v1.ImageService/PullImage"
const PULL_TIMEOUT_MS = 300_000

/**
 * Asks a runtime to pull an image and gives its id.
 * @see cri-api `PullImageRequest { ImageSpec image = 1 }`, `ImageSpec { string image = 1 }`,
 * `PullImageResponse { string image_ref = 1 }`
 * @throws Error with the runtime's own message
 */
export async function criPullImage(socketPath: string, reference: string): Promise<string> {
  const session = connect("http://localhost", {
    createConnection: () => createConnection(socketPath),
  })
  try {
    const answer = await call(session, lengthField(lengthField(encode(reference))))
    return decode(answer.subarray(2))
  } finally {
    session.close()
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Field 1, length-delimited. */
function lengthField(bytes: Uint8Array): Uint8Array {
  const { length } = bytes
  const size = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7]
  return Uint8Array.from([0x0a, ...size, ...bytes])
}

function call(session: ClientHttp2Session, message: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    session.on("error", reject)
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: PULL_PATH,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      te: "trailers",
    })
    const parts: Uint8Array[] = []
    let status: Record<string, unknown> = {}
    stream.setTimeout(PULL_TIMEOUT_MS, () => stream.destroy(new Error("the runtime was silent")))
    stream.on("response", (headers) => {
      status = { ...status, ...headers }
    })
    stream.on("trailers", (trailers) => {
      status = { ...status, ...trailers }
    })
    stream.on("data", (part: Uint8Array) => parts.push(part))
    stream.on("error", reject)
    stream.on("end", () => {
      if (status["grpc-status"] !== "0") reject(new Error(String(status["grpc-message"])))
      else resolve(Uint8Array.from(parts.flatMap((part) => [...part])).subarray(5))
    })
    const header = new Uint8Array(5)
    new DataView(header.buffer).setUint32(1, message.length)
    stream.end(Uint8Array.from([...header, ...message]))
  })
}
