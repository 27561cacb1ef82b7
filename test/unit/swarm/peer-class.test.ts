/** The class of a peer's traffic: by address, by configuration, by zone, by the price of the way out. */
import { describe, expect, test } from "vitest"
import { AddressRanges, isAddressRange } from "../../../src/net/address-range.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { PeerClasses, type PeerClassOptions } from "../../../src/swarm/peer-class.ts"

describe("a range of addresses", () => {
  test.each([
    ["192.0.2.0/24", true],
    ["192.0.2.7", true],
    ["2001:db8::/32", true],
    ["::/0", true],
    ["192.0.2.0/33", false],
    ["2001:db8::/129", false],
    ["192.0.2.0/", false],
    ["192.0.2.0/24/8", false],
    ["192.0.2/24", false],
    ["fe80::1%eth0/64", false],
    ["example.com", false],
    ["", false],
  ])("%s is one: %s", (text, isOne) => {
    expect(isAddressRange(text)).toBe(isOne)
  })

  test("holds its addresses, in whatever form they come", () => {
    const ranges = new AddressRanges(["192.0.2.0/24", "fe80::/10", "2001:db8::7"])
    for (const host of ["192.0.2.255", "::ffff:192.0.2.1", "fe80::1%eth0", "2001:db8::7"]) {
      expect([host, ranges.has(host)]).toEqual([host, true])
    }
    for (const host of ["192.0.3.0", "2001:db8::8", "name.example", ""]) {
      expect([host, ranges.has(host)]).toEqual([host, false])
    }
  })
})

function classesOf(host: string, options: PeerClassOptions & { isSameZone?: boolean } = {}) {
  const hub = createMemoryHub()
  const [own, other] = [hub.join(), hub.join({ host })]
  hub.connectAll()
  const classes = new PeerClasses(
    { net: own, isSameZone: () => options.isSameZone === true },
    options,
  )
  return { classes, peer: other.id, hub, own }
}

const classOf = (...given: Parameters<typeof classesOf>) => {
  const { classes, peer } = classesOf(...given)
  return classes.of(peer)
}

describe("a peer", () => {
  test.each([
    "127.0.0.1",
    "10.1.2.3",
    "172.31.0.1",
    "192.168.7.7",
    "169.254.1.1",
    "fd00::1",
    "::1",
  ])("at %s is of the LAN", (host) => expect(classOf(host)).toBe("lan"))

  test.each(["8.8.8.8", "172.32.0.1", "2606:4700::1"])("at %s is of the WAN", (host) =>
    expect(classOf(host)).toBe("wan"),
  )

  test("is of the class whose range it is in, first metered, then WAN, then LAN", () => {
    const lan = ["0.0.0.0/0"]
    const wan = ["10.0.0.0/8"]
    const metered = ["10.9.0.0/16"]
    expect(classOf("8.8.8.8", { ranges: { lan, wan, metered } })).toBe("lan")
    expect(classOf("10.1.0.1", { ranges: { lan, wan, metered } })).toBe("wan")
    expect(classOf("10.9.0.1", { ranges: { lan, wan, metered } })).toBe("metered")
  })

  test("of the same zone is of the LAN, unless a range says otherwise", () => {
    expect(classOf("8.8.8.8", { isSameZone: true })).toBe("lan")
    expect(classOf("8.8.8.8", { isSameZone: true, ranges: { wan: ["8.8.8.8"] } })).toBe("wan")
  })

  test("of the WAN is metered while the way out is, and only then", () => {
    const { classes, peer } = classesOf("8.8.8.8")
    expect(classes.of(peer)).toBe("wan")
    classes.setMetered(true)
    expect(classes.of(peer)).toBe("metered")
    expect(classes.ofHost("10.0.0.1")).toBe("lan")
    expect(classes.ofHost(undefined)).toBe("metered")
    expect([classes.ofPlace("wan"), classes.ofPlace("lan")]).toEqual(["metered", "lan"])
    classes.setMetered(false)
    expect(classes.of(peer)).toBe("wan")
  })

  test("that is not connected is not believed to be near", () => {
    const { classes, peer, hub } = classesOf("10.0.0.1")
    hub.drop(peer)
    expect(classes.of(peer)).toBe("wan")
  })

  test("that is a standard client goes by its address", () => {
    const { classes } = classesOf("10.0.0.1")
    expect(classes.of("plain:192.168.1.5:6881")).toBe("lan")
    expect(classes.of("plain:[2606:4700::1]:6881")).toBe("wan")
  })
})
