/** The wire's parser against its writer, at any cutting of the bytes, and against nonsense. */
import { Duplex } from "node:stream"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { WireFault } from "../../../src/swarm/errors.ts"
import { encodeHandshake, MESSAGE } from "../../../src/swarm/wire-messages.ts"
import { WAIT, WireParser, type WireSink } from "../../../src/swarm/wire-parser.ts"
import { WireWriter } from "../../../src/swarm/wire-writer.ts"

const INFO_HASH = Buffer.alloc(20, 1)
const PEER_ID = Buffer.alloc(20, 2)
const HANDSHAKE = encodeHandshake(INFO_HASH, PEER_ID)
const BLOCK = Buffer.from("a block of some bytes")

/** Writes down what the parser says. */
class Recorder implements WireSink {
  readonly said: unknown[] = []
  target: Uint8Array | undefined | typeof WAIT = new Uint8Array(1000)
  #length = 0

  onHandshake(handshake: { infoHash: Uint8Array }): WireFault | undefined {
    return this.#say("handshake", Buffer.from(handshake.infoHash).toString("hex"))
  }
  onSignal(id: number): WireFault | undefined {
    return this.#say("signal", id)
  }
  onHave(index: number): WireFault | undefined {
    return this.#say("have", index)
  }
  onSuggest(index: number): WireFault | undefined {
    return this.#say("suggest", index)
  }
  onBitfield(bytes: Uint8Array): WireFault | undefined {
    return this.#say("bitfield", [...bytes])
  }
  onBlockMessage(id: number, index: number, begin: number, length: number): WireFault | undefined {
    return this.#say("block message", id, index, begin, length)
  }
  onExtended(id: number, payload: Uint8Array): WireFault | undefined {
    return this.#say("extended", id, [...payload])
  }
  onBlock(index: number, begin: number, length: number) {
    this.#length = length
    if (this.target !== WAIT) this.#say("block", index, begin, length)
    return this.target === undefined || this.target === WAIT
      ? this.target
      : this.target.subarray(0, length)
  }
  onBlockEnd(): WireFault | undefined {
    const bytes = (this.target as Uint8Array).subarray(0, this.#length)
    return this.#say("block end", Buffer.from(bytes).toString())
  }
  #say(...words: unknown[]): undefined {
    this.said.push(words)
  }
}

/** Gives the bytes that a writer sends. */
function written(write: (writer: WireWriter) => void): Buffer {
  const chunks: Buffer[] = []
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, callback) {
      chunks.push(chunk)
      callback()
    },
  })
  const writer = new WireWriter(duplex, { hasContexts: false })
  write(writer)
  writer.flush()
  return Buffer.concat(chunks)
}

function pieceMessage(block: Uint8Array): Buffer {
  const message = Buffer.alloc(13 + block.length)
  message.writeUInt32BE(9 + block.length)
  message[4] = MESSAGE.piece
  message.writeUInt32BE(3, 5)
  message.writeUInt32BE(16_384, 9)
  message.set(block, 13)
  return message
}

const CONVERSATION = Buffer.concat([
  HANDSHAKE,
  written((writer) => {
    writer.extended(0, Buffer.from("de"))
    writer.bitfield(0, Buffer.from([0xff, 0xe0]))
    writer.signal(0, MESSAGE.unchoke)
    writer.signal(0, MESSAGE.haveAll)
    writer.have(0, 77)
    writer.blockMessage(0, MESSAGE.request, 1, 2, 3)
    writer.blockMessage(0, MESSAGE.cancel, 4, 5, 6)
  }),
  Buffer.alloc(4),
  pieceMessage(BLOCK),
  // A port message, and one of a kind that nobody knows: both say nothing.
  Buffer.from([0, 0, 0, 3, 9, 0, 1]),
  Buffer.from([0, 0, 0, 5, 99, 1, 2, 3, 4]),
  written((writer) => writer.blockMessage(0, MESSAGE.reject, 7, 8, 9)),
])

const SAID = [
  ["handshake", "01".repeat(20)],
  ["extended", 0, [...Buffer.from("de")]],
  ["bitfield", [0xff, 0xe0]],
  ["signal", MESSAGE.unchoke],
  ["signal", MESSAGE.haveAll],
  ["have", 77],
  ["block message", MESSAGE.request, 1, 2, 3],
  ["block message", MESSAGE.cancel, 4, 5, 6],
  ["block", 3, 16_384, BLOCK.length],
  ["block end", BLOCK.toString()],
  ["block message", MESSAGE.reject, 7, 8, 9],
]

function parse(chunks: readonly Uint8Array[], sink = new Recorder()) {
  const parser = new WireParser(sink)
  const outcomes = chunks.map((chunk) => parser.feed(chunk))
  return { sink, parser, outcome: outcomes.at(-1) }
}

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  let at = 0
  for (const length of lengths) {
    chunks.push(bytes.subarray(at, at + length))
    at += length
  }
  return [...chunks, bytes.subarray(at)]
}

describe("a conversation", () => {
  test("is read in one chunk, and byte by byte", () => {
    expect(parse([CONVERSATION]).sink.said).toEqual(SAID)
    expect(parse([...CONVERSATION].map((byte) => Uint8Array.of(byte))).sink.said).toEqual(SAID)
  })

  test("is read however it is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 }), (lengths) => {
        expect(parse(cut(CONVERSATION, lengths)).sink.said).toEqual(SAID)
      }),
      { numRuns: 100 },
    )
  })
})

describe("a block", () => {
  test("that nobody wants is read over", () => {
    const sink = new Recorder()
    sink.target = undefined
    parse([CONVERSATION], sink)
    expect(sink.said).toEqual(SAID.filter(([kind]) => kind !== "block end"))
  })

  test("that has no place waits with all that follows, and goes on where it was", () => {
    for (const lengths of [[], [200], [150, 1, 1, 1, 1, 1, 1, 1]]) {
      const sink = new Recorder()
      const target = sink.target
      sink.target = WAIT
      const { parser, outcome } = parse(cut(CONVERSATION, lengths), sink)
      expect(outcome).toBe("wait")
      expect(sink.said.at(-1)).toEqual(["block message", MESSAGE.cancel, 4, 5, 6])
      expect(parser.resume()).toBe("wait")
      sink.target = target
      expect(parser.resume()).toBeUndefined()
      expect(sink.said).toEqual(SAID)
    }
  })

  test("is whole although what follows waits again and again, in chunks that are lent", () => {
    // Longer than what is held at first, so that it grows on the way.
    const block = Buffer.alloc(100_000, "wait")
    const chunk = Buffer.concat([pieceMessage(block), pieceMessage(BLOCK)])
    const sink = new Recorder()
    const target = new Uint8Array(block.length)
    const parser = new WireParser(sink)
    parser.feed(HANDSHAKE)
    for (let round = 0; round < 3; round++) {
      sink.target = WAIT
      for (const part of [chunk, chunk, HANDSHAKE.subarray(0, 0)]) {
        const lent = Buffer.from(part)
        expect(parser.feed(lent)).toBe("wait")
        lent.fill(0)
      }
      sink.said.length = 0
      sink.target = target
      expect(parser.resume()).toBeUndefined()
      const blocks = [
        ["block", 3, 16_384, block.length],
        ["block end", block.toString()],
      ]
      const small = [
        ["block", 3, 16_384, BLOCK.length],
        ["block end", BLOCK.toString()],
      ]
      expect(sink.said).toEqual([...blocks, ...small, ...blocks, ...small])
    }
  })

  test("whose place is taken away is read over from there", () => {
    const sink = new Recorder()
    const parser = new WireParser(sink)
    const end = CONVERSATION.indexOf(BLOCK) + 5
    parser.feed(CONVERSATION.subarray(0, end))
    parser.discardBlock()
    parser.feed(CONVERSATION.subarray(end))
    expect(sink.said).toEqual(SAID.filter(([kind]) => kind !== "block end"))
  })
})

describe("is given up with a code:", () => {
  const lengthOf = (bytes: number, id: number) => {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(bytes)
    head[4] = id
    return Buffer.concat([HANDSHAKE, head])
  }
  test.each([
    ["no handshake", Buffer.alloc(68, 19), "HANDSHAKE_INVALID"],
    ["a have of 4 bytes", lengthOf(4, MESSAGE.have), "MESSAGE_LENGTH_INVALID"],
    ["a choke with a body", lengthOf(2, MESSAGE.choke), "MESSAGE_LENGTH_INVALID"],
    ["a request of 4 GiB", lengthOf(0xffff_ffff, MESSAGE.request), "MESSAGE_LENGTH_INVALID"],
    ["a block of no bytes", lengthOf(9, MESSAGE.piece), "MESSAGE_LENGTH_INVALID"],
    ["a block over 4 MiB", lengthOf(4_194_314, MESSAGE.piece), "MESSAGE_LENGTH_INVALID"],
    ["an empty bitfield", lengthOf(1, MESSAGE.bitfield), "MESSAGE_LENGTH_INVALID"],
    ["a bitfield over 32 KiB", lengthOf(32_770, MESSAGE.bitfield), "MESSAGE_LENGTH_INVALID"],
    ["an extension over 256 KiB", lengthOf(262_146, MESSAGE.extended), "MESSAGE_LENGTH_INVALID"],
    ["an unknown kind over 64 KiB", lengthOf(65_537, 99), "MESSAGE_LENGTH_INVALID"],
  ])("%s", (_name, bytes, code) => {
    const { parser, outcome } = parse([bytes])
    expect(outcome).toMatchObject({ code })
    expect(parser.feed(CONVERSATION)).toMatchObject({ code })
  })

  test("what the sink refuses", () => {
    const sink = new Recorder()
    const fault: WireFault = { code: "INDEX_INVALID", message: "too high" }
    sink.onHave = () => fault
    expect(parse([CONVERSATION], sink).outcome).toBe(fault)
    expect(sink.said.at(-1)).toEqual(["signal", MESSAGE.haveAll])
  })

  test("any bytes without a crash", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (chunks) => {
        const sink = new Recorder()
        sink.target = undefined
        expect(() => parse([HANDSHAKE, ...chunks], sink)).not.toThrow()
      }),
      { numRuns: 200 },
    )
  })
})
