/** The vectors of protocol/public-torrent.md. */
import { describe, expect, test } from "vitest"
import { codeOf } from "../../../../src/core/errors.ts"
import { formatAddress } from "../../../../src/swarm/public/public-listener.ts"
import { parseMagnet } from "../../../../src/swarm/public/torrent-link.ts"
import { parseTrackerMessage } from "../../../../src/swarm/public/tracker-message.ts"
import { base64, type Vector, vectorsOf } from "../vectors.ts"

const vectors = vectorsOf("public-torrent")

function outcomeOf({ input }: Vector): { expect: string; output?: object } {
  if (input.trackerMessage !== undefined) {
    const message = parseTrackerMessage(base64(input.trackerMessage).toString("utf8"))
    return message === undefined ? { expect: "ignored" } : { expect: "ok", output: message }
  }
  try {
    const { infoHash, trackers, peers, webSeeds } = parseMagnet(input.magnet ?? "")
    const output = {
      infoHash: Buffer.from(infoHash).toString("hex"),
      trackers,
      peers: peers.map(({ host, port }) => formatAddress(host, port)),
      webSeeds,
    }
    return { expect: "ok", output }
  } catch (error) {
    return { expect: codeOf(error) ?? String(error) }
  }
}

describe("protocol/public-torrent", () => {
  test.each(vectors)("$case: $comment", (vector) => {
    const { expect: expected, output } = vector
    expect(outcomeOf(vector)).toEqual({ expect: expected, ...(output && { output }) })
  })
})
