import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { lengthPrefixed } from "../../../src/core/length-prefix.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import {
  deriveChannelKey,
  encodeTicket,
  parseTicket,
  TICKET_LIFETIME_MS,
  TICKETS_MAX,
  TICKETS_PER_PEER_MAX,
  TicketBook,
} from "../../../src/net/ticket.ts"
import { fromBase64, toBase64, vectorsOf } from "./vectors.ts"

describe("protocol/data-channel.md vectors", () => {
  test.each(vectorsOf("data-channel", "key"))("$case: $comment", ({ input, output }) => {
    const { seeder = "", fetcher = "", secret = "" } = input
    expect(toBase64(lengthPrefixed("sealift/channel/v1", seeder, fetcher))).toBe(output?.info)
    const key = deriveChannelKey(fromBase64(secret), { seeder, fetcher })
    expect(toBase64(key)).toBe(output?.key)
  })

  test.each(vectorsOf("data-channel", "ticket"))("$case: $comment", (vector) => {
    const bytes = fromBase64(vector.input.ticket!)
    if (vector.expect === "ok") {
      const ticket = parseTicket(bytes)
      expect({ ...ticket, secret: toBase64(ticket.secret) }).toEqual(vector.output)
    } else {
      expect(() => parseTicket(bytes)).toThrow(expect.objectContaining({ code: vector.expect }))
    }
  })

  test("never throws anything but a violation, whatever comes", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          try {
            parseTicket(bytes)
          } catch (error) {
            expect(error).toMatchObject({ code: "PROTOCOL_VIOLATION" })
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe("ticket book", () => {
  test("gives tickets that can be read back, each with an id and a secret of its own", () => {
    const book = new TicketBook(new VirtualClock())
    const first = book.issue("alice", ["/ip4/192.0.2.7/tcp/1"])
    const second = book.issue("alice", [])
    expect(parseTicket(encodeTicket(first))).toEqual(first)
    expect(first.id).not.toBe(second.id)
    expect(toBase64(first.secret)).not.toBe(toBase64(second.secret))
  })

  test("lets a ticket be used once, by whom it is for", () => {
    const book = new TicketBook(new VirtualClock())
    const { id } = book.issue("alice", [])
    expect(book.find(id)?.peer).toBe("alice")
    expect(book.consume(id)).toBe("alice")
    expect([book.find(id), book.consume(id)]).toEqual([undefined, undefined])
  })

  test("lets a ticket expire", async () => {
    const clock = new VirtualClock()
    const book = new TicketBook(clock)
    const { id, expiresInMs } = book.issue("alice", [])
    expect(expiresInMs).toBe(TICKET_LIFETIME_MS)
    await clock.advance(TICKET_LIFETIME_MS - 1)
    expect(book.find(id)?.peer).toBe("alice")
    await clock.advance(1)
    expect(book.find(id)).toBeUndefined()
    expect(book.consume(id)).toBeUndefined()
  })

  test("bounds the unused tickets of a peer, until they expire", async () => {
    const clock = new VirtualClock()
    const book = new TicketBook(clock)
    for (let count = 0; count < TICKETS_PER_PEER_MAX; count++) book.issue("alice", [])
    expect(() => book.issue("alice", [])).toThrow(
      expect.objectContaining({ code: "TICKET_INVALID" }),
    )
    book.issue("bob", [])
    await clock.advance(TICKET_LIFETIME_MS)
    book.issue("alice", [])
    expect(book.size).toBe(1)
  })

  test("bounds the unused tickets of all peers", () => {
    const book = new TicketBook(new VirtualClock())
    for (let count = 0; count < TICKETS_MAX; count++) book.issue(`peer ${count}`, [])
    expect(() => book.issue("one more", [])).toThrow(
      expect.objectContaining({ code: "TICKET_INVALID" }),
    )
  })

  test("takes back the tickets of a peer", () => {
    const book = new TicketBook(new VirtualClock())
    const alice = book.issue("alice", [])
    const bob = book.issue("bob", [])
    book.revoke("alice")
    expect([book.find(alice.id)?.peer, book.find(bob.id)?.peer]).toEqual([undefined, "bob"])
  })
})
