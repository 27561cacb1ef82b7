/** Configuration: which layer wins, where each value came from, and a table of precise errors. */

import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { codeOf, messageOf } from "../../../src/core/errors.ts"
import { loadConfig } from "../../../src/daemon/config.ts"
import { CONFIG_DEFAULTS, CONFIG_KEYS, FILE_KEYS } from "../../../src/daemon/config-schema.ts"
import { limitPlanOf } from "../../../src/daemon/limit-plan.ts"
import { dataDirectoryOf } from "../../../src/daemon/node-directory.ts"
import { ALLOW_ALL, ALLOW_NOTHING } from "../../../src/rollout/allowing.ts"

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealift-config-"))
})
afterEach(() => rm(directory, { recursive: true }))

const write = (text: string) => writeFile(join(directory, "config.yaml"), text)
const load = (flags: Record<string, unknown> = {}, env: Record<string, string> = {}) =>
  loadConfig({ flags: { data: directory, ...flags }, env })

async function sourceOf(key: string, ...layers: Parameters<typeof load>) {
  const { entries } = await load(...layers)
  return entries.find((entry) => entry.key === key)?.source
}

async function faultOf(loading: Promise<unknown>): Promise<string> {
  const error = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(codeOf(error)).toBe("CONFIG_INVALID")
  expect(messageOf(error)).not.toContain("\n")
  return messageOf(error).replaceAll(directory, "DATA")
}

describe("the layers", () => {
  test("give the defaults of the interface when nothing is set", async () => {
    const { config } = await load()
    expect(config.http).toEqual({ host: "127.0.0.1", port: 7070 })
    expect(config.p2p[0]).toBe("/ip4/127.0.0.1/tcp/7071")
    expect(config).toMatchObject({ lan: false, mdns: false, peers: [], data: directory })
    expect(config.quota).toBe(50 * 1024 ** 3)
  })

  test("name every setting, also those that have no value", async () => {
    const { entries } = await load()
    expect(entries.map(({ key }) => key)).toEqual([
      ...CONFIG_KEYS.map(({ path }) => path),
      ...FILE_KEYS,
    ])
    const unset = entries.filter(({ value }) => value === null)
    expect(unset.map(({ key }) => key)).toEqual(
      expect.arrayContaining(["openedGroup", "limits.up", "limits.lan"]),
    )
    expect(new Set(unset.map(({ source }) => source))).toEqual(new Set(["default"]))
    expect(unset.every(({ key }) => !Object.hasOwn(CONFIG_DEFAULTS, key))).toBe(true)
  })

  test("open the LAN and mDNS together, unless mDNS is switched off", async () => {
    const { config } = await load({ lan: true })
    expect(config.p2p[0]).toBe("/ip4/0.0.0.0/tcp/7071")
    expect(config.mdns).toBe(true)
    expect((await load({ lan: true, mdns: false })).config.mdns).toBe(false)
  })

  test("win over each other in the order file, variable, flag", async () => {
    await write("http: 127.0.0.1:1\nlog:\n  level: warn\n")
    const variable = { SEALIFT_HTTP: "127.0.0.1:2" }
    expect((await load()).config.http.port).toBe(1)
    expect((await load({}, variable)).config.http.port).toBe(2)
    expect((await load({ http: "127.0.0.1:3" }, variable)).config.http.port).toBe(3)
    expect((await load()).config.log).toEqual({ level: "warn", format: "auto" })
  })

  test("give the public port as a number, or with an address", async () => {
    expect((await load()).config.public.port).toEqual({ port: 7072 })
    const flag = { "public.port": "127.0.0.1:0" }
    expect((await load(flag)).config.public.port).toEqual({ host: "127.0.0.1", port: 0 })
    await write("public:\n  port: 8000\n  trackers: [wss://tracker.example]\n")
    const { config } = await load()
    expect(config.public).toMatchObject({ port: { port: 8000 }, dht: false, lan: false, stun: [] })
    expect(config.public.trackers).toEqual(["wss://tracker.example"])
  })

  test("are named as the source of each value", async () => {
    await write("# a comment\nlan: true\nlog:\n  level: warn\n")
    expect(await sourceOf("lan")).toBe(`${directory}/config.yaml:2`)
    expect(await sourceOf("log.level")).toBe(`${directory}/config.yaml:4`)
    expect(await sourceOf("log.format")).toBe("default")
    expect(await sourceOf("lan", {}, { SEALIFT_LAN: "0" })).toBe("SEALIFT_LAN")
    expect(await sourceOf("lan", { lan: true }, { SEALIFT_LAN: "0" })).toBe("--lan")
    expect(await sourceOf("data")).toBe("--data")
  })

  test("read upstreams with a password by reference only", async () => {
    await write(`upstreams:
  docker.io: { url: "https://registry-1.docker.io/", username: me, password: env:HUB_PASSWORD }
  127.0.0.1:5000: { plainHttp: true, timeouts: { connect: 2s } }
`)
    expect((await load()).config.upstreams).toEqual({
      "docker.io": {
        url: "https://registry-1.docker.io",
        username: "me",
        password: { from: "env", name: "HUB_PASSWORD" },
      },
      "127.0.0.1:5000": { plainHttp: true, timeouts: { connect: 2000 } },
    })
  })

  test("take lists from variables by commas and from repeated flags", async () => {
    const p2p = ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"]
    expect((await load({}, { SEALIFT_P2P: p2p.join(", ") })).config.p2p).toEqual(p2p)
    expect((await load({ p2p })).config.p2p).toEqual(p2p)
  })

  test("find a file by --config, whose data is relative to it", async () => {
    const path = join(directory, "node.yaml")
    await writeFile(path, "data: deep/er\n")
    const { config } = await loadConfig({ flags: { config: path }, env: {} })
    expect(config.data).toBe(join(directory, "deep/er"))
  })

  test("put data below XDG_DATA_HOME when it is absolute", () => {
    const at = (home: string) => dataDirectoryOf({ flags: {}, env: { XDG_DATA_HOME: home } })
    expect(at("/srv/state")).toBe("/srv/state/sealift")
    expect(at("relative")).toMatch(/\/\.local\/share\/sealift$/)
  })

  test("read limits with a schedule, classes of addresses, and flags that win", async () => {
    await write(`limits:
  up: 10MiB/s
  wan: { down: 500KB/s }
  schedule:
    - { from: "08:00", to: "18:00", days: [mon, fri], zone: Europe/Berlin, up: unlimited }
    - { from: 22:00, to: 24:00, lan: { up: 64KiB/s }, metered: true }
metered: true
zone: rack-7.berlin
addressClasses: { lan: [192.0.2.0/24], metered: ["2001:db8::/32"] }
upstreams: { hub: { url: "http://registry.lan", class: lan } }
`)
    const { config } = await load({ "limits.down": "2MB/s" })
    expect(config.limits).toEqual({
      up: 10 * 1024 ** 2,
      down: 2e6,
      wan: { down: 5e5 },
      schedule: [
        {
          ...{ from: 480, to: 1080, days: ["mon", "fri"], zone: "Europe/Berlin" },
          up: Number.POSITIVE_INFINITY,
        },
        { from: 1320, to: 1440, lan: { up: 65_536 }, metered: true },
      ],
    })
    expect([config.metered, config.zone]).toEqual([true, "rack-7.berlin"])
    expect(config.addressClasses).toEqual({ lan: ["192.0.2.0/24"], metered: ["2001:db8::/32"] })
    expect(config.upstreams.hub?.class).toBe("lan")
    expect(await sourceOf("limits.up")).toBe(`${directory}/config.yaml:2`)
    expect(await sourceOf("limits.schedule")).toBe(`${directory}/config.yaml:4`)
    expect(await sourceOf("limits.up", {}, { SEALIFT_UP_LIMIT: "1MB/s" })).toBe("SEALIFT_UP_LIMIT")
    expect(limitPlanOf(config).rules[0]).toMatchObject({ fromMinute: 480, zone: "Europe/Berlin" })
  })

  test("accept an empty file", async () => {
    await write("# nothing yet\n")
    expect((await load()).config.lan).toBe(false)
  })
})

describe("a bad file", () => {
  test.each([
    ["http: 7070", "http is 7070 (DATA/config.yaml:1); allowed: HOST:PORT such as"],
    ["http: 127.0.0.1:70700", 'http is "127.0.0.1:70700"'],
    ["http: 127.0.0.300:7070", 'http is "127.0.0.300:7070"'],
    ["\nlan: yes please", 'lan is "yes please" (DATA/config.yaml:2); allowed: true or false'],
    ["htpp: x", "unknown key htpp (DATA/config.yaml:1); allowed: http, p2p, lan, peers, mdns"],
    ["log:\n  levle: warn", "unknown key log.levle (DATA/config.yaml:2); allowed: level, format"],
    ["public:\n  prot: 1", "unknown key public.prot (DATA/config.yaml:2); allowed: port, trackers"],
    ["public: { port: 70000 }", "public.port is 70000"],
    ["public: { trackers: [ftp://a.example] }", "a tracker's URL"],
    ["public: { stun: [a.example] }", "allowed: HOST:PORT"],
    ["log.level: warn", 'unknown key "log.level" (DATA/config.yaml:1)'],
    ["log: warn", 'log is "warn" (DATA/config.yaml:1); allowed: a table of keys'],
    ["log: { level: loud }", 'log.level is "loud" (DATA/config.yaml:1); allowed: debug, info'],
    ["quota: 50", "quota is 50 (DATA/config.yaml:1); allowed: a size such as 50GiB"],
    ["peers: /ip4/192.0.2.1/tcp/1", 'peers is "/ip4/192.0.2.1/tcp/1"'],
    ["peers:\n  - /ip4/192.0.2.1/tcp/1\n  - nobody", 'peers[1] is "nobody" (DATA/config.yaml:3)'],
    ["p2p: [/ip4/127.0.0.1/udp/1]", "allowed: a multiaddr such as /ip4/127.0.0.1/tcp/7071"],
    ["upstreams: []", "upstreams is [] (DATA/config.yaml:1); allowed: a table of keys"],
    ["upstreams:\n  hub:\n    urll: x", "unknown key upstreams.hub.urll (DATA/config.yaml:3)"],
    ["upstreams: { a b: {} }", 'bad key upstreams."a b" (DATA/config.yaml:1)'],
    ["upstreams: { hub: { timeouts: { connect: 0s } } }", "upstreams.hub.timeouts.connect is"],
    ["upstreams: { hub: { timeouts: { conect: 1s } } }", "allowed: connect, answer, body"],
    ["limits: { up: 10MiB }", 'limits.up is "10MiB" (DATA/config.yaml:1); allowed: a rate'],
    ["limits: { up: 1KiB/s }", "allowed: a rate of at least 64KiB/s such as 10MiB/s"],
    [
      "limits: { lan: { upp: 1MB/s } }",
      "unknown key limits.lan.upp (DATA/config.yaml:1); allowed: up, down",
    ],
    ["limits: { scedule: [] }", "allowed: up, down, lan, wan, schedule"],
    ["limits: { schedule: [{ to: '01:00' }] }", "limits.schedule[0].from is not given"],
    [
      "limits: { schedule: [{ from: '24:00', to: '01:00' }] }",
      'allowed: a time of day before "24:00"',
    ],
    [
      "limits: { schedule: [{ from: '8:00', to: '01:00' }] }",
      'allowed: a time of day from "00:00"',
    ],
    ["limits: { schedule: [{ from: '08:00', to: '01:60' }] }", "limits.schedule[0].to is"],
    [
      "limits:\n  schedule:\n    - {}\n    - { from: '01:00', to: '02:00', zone: CEST5 }",
      "limits.schedule[0]",
    ],
    ["limits: { schedule: [{ from: '01:00', to: '02:00', zone: '+02:00' }] }", "the IANA name"],
    ["limits: { schedule: [{ from: '01:00', to: '02:00', days: [monday] }] }", "allowed: sun, mon"],
    [
      "limits: { schedule: [{ from: '01:00', to: '02:00', upp: 1MB/s }] }",
      "allowed: from, to, days",
    ],
    ["addressClasses: { lan: [10.0.0.0/33] }", "addressClasses.lan[0] is"],
    ["addressClasses: { man: [] }", "allowed: lan, wan, metered"],
    ["zone: Rack 7", "allowed: a name of 1 to 63 small letters"],
    ["__proto__: { lan: true }", "unknown key __proto__"],
    ["data: /elsewhere", "or name this file by --config"],
    ["data: 5", "data is 5 (DATA/config.yaml:1), but the file lies in DATA"],
    ["http: [", "DATA/config.yaml:1:8 is not valid YAML"],
    ["lan: true\nlan: false", "DATA/config.yaml:2:1 is not valid YAML: Map keys must be unique"],
    ["- a list", "DATA/config.yaml must hold a table of keys"],
    ["a: &a [x]\nb: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]", "alias"],
  ])("with %j says so", async (text, expected) => {
    await write(text)
    expect(await faultOf(load())).toContain(expected)
  })

  test.each([
    ["upstreams: { hub: { password: hunter2 } }", "upstreams.hub.password is (not shown)"],
    ["upstreams: { hub: { url: 'https://me:hunter2@hub' } }", "upstreams.hub.url is (not shown)"],
  ])("with an inline secret does not repeat it: %j", async (text, expected) => {
    await write(text)
    const message = await faultOf(load())
    expect(message).toContain(expected)
    expect(message).not.toContain("hunter2")
  })

  test("that is no file, or is not there though named, says so", async () => {
    expect(await faultOf(load({ config: directory }))).toContain("DATA is not a file")
    expect(await faultOf(load({ config: join(directory, "no.yaml") }))).toContain(
      "there is no file DATA/no.yaml",
    )
  })
})

describe("bad variables and flags", () => {
  test("name themselves as the source", async () => {
    expect(await faultOf(load({}, { SEALIFT_QUOTA: "big" }))).toContain('"big" (SEALIFT_QUOTA)')
    expect(await faultOf(load({}, { SEALIFT_LAN: "maybe" }))).toContain('"maybe" (SEALIFT_LAN)')
    expect(await faultOf(load({ http: "x" }))).toContain('http is "x" (--http)')
    expect(await faultOf(load({ peers: ["x"] }))).toContain('peers[0] is "x" (--peer)')
  })

  test("are refused when no setting has that name", async () => {
    const message = await faultOf(load({}, { SEALIFT_HTPP: "127.0.0.1:1" }))
    expect(message).toContain("unknown variable SEALIFT_HTPP; allowed: SEALIFT_HTTP, ")
  })

  test("leave alone what Kubernetes sets and what an upstream's password names", async () => {
    await write("upstreams: { hub: { password: env:SEALIFT_HUB_PASSWORD } }")
    const env = {
      SEALIFT_HUB_PASSWORD: "x",
      SEALIFT_PORT: "tcp://10.0.0.1:7070",
      SEALIFT_PORT_7070_TCP_ADDR: "10.0.0.1",
      SEALIFT_SERVICE_HOST: "10.0.0.1",
      SEALIFT_DEBUG: "1",
    }
    expect((await load({}, env)).config.http.port).toBe(7070)
  })
})

describe("web servers of a fleet", () => {
  test("are none unless they are named", async () => {
    expect((await load()).config.fleetMirrors).toEqual([])
    const urls = ["https://fleet.example/lab", "http://192.0.2.7:8080"]
    expect((await load({ fleetMirrors: urls })).config.fleetMirrors).toEqual(urls)
  })

  test.each([
    "ftp://fleet.example/lab",
    "fleet.example",
    "https://me:secret@fleet.example/",
    "https://fleet.example/?token=x",
  ])("at %s are refused", async (url) => {
    await expect(load({ fleetMirrors: [url] })).rejects.toMatchObject({ code: "CONFIG_INVALID" })
  })
})

describe("the group that may read what is opened", () => {
  test("is none unless it is named, by flag, variable or file, by name or number", async () => {
    expect((await load()).config.openedGroup).toBeUndefined()
    for (const group of ["inference", "991", 991]) {
      expect((await load({ openedGroup: group })).config.openedGroup).toBe(String(group))
    }
  })

  test.each(["", "-1", "4294967295", "a:b", 1.5, true, ["a"]])("is not %j", async (group) => {
    expect(await faultOf(load({ openedGroup: group }))).toContain("openedGroup")
  })
})

describe("relays", () => {
  const ID = "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A"
  const RELAY = `/ip4/192.0.2.7/tcp/7071/p2p/${ID}`

  test("serve nobody and are nowhere unless they are told", async () => {
    const { config } = await load()
    expect(config).toMatchObject({ relay: false, relayFor: [], relays: [] })
    expect(config.relayRate).toBe(2 * 1024 ** 2)
  })

  test("are named with their ids, and lead to peers behind them", async () => {
    const behind = `${RELAY}/p2p-circuit/p2p/${ID}`
    const { config } = await load({ relays: [RELAY], peers: [behind], relayFor: [ID] })
    expect(config).toMatchObject({ relays: [RELAY], peers: [behind], relayFor: [ID] })
  })

  test.each([
    { flags: { relays: ["/ip4/192.0.2.7/tcp/7071"] }, key: "relays" },
    { flags: { relays: [`${RELAY}/p2p-circuit`] }, key: "relays" },
    { flags: { relays: new Array(9).fill(RELAY) }, key: "relays" },
    { flags: { peers: [`${RELAY}/p2p-circuit`] }, key: "peers" },
    { flags: { peers: [`/ip4/192.0.2.7/tcp/7071/p2p-circuit/p2p/${ID}`] }, key: "peers" },
    { flags: { relayFor: ["somebody"] }, key: "relayFor" },
    { flags: { relayRate: "1KiB" }, key: "relayRate" },
    { flags: { relayRate: "fast" }, key: "relayRate" },
  ])("are refused when they make no sense: $flags", async ({ flags, key }) => {
    expect(await faultOf(load(flags))).toContain(key)
  })
})

describe("what rollouts may do", () => {
  const allowed = async (...layers: Parameters<typeof load>) =>
    (await load(...layers)).config.rollout.allow

  test("is left to the fleet unless it is said, and shown with where it was", async () => {
    expect(await allowed()).toBe("auto")
    expect(await sourceOf("rollout.allow")).toBe("default")
    expect(await allowed({ "rollout.allow": "all" })).toEqual(ALLOW_ALL)
    expect(await allowed({}, { SEALIFT_ROLLOUT_ALLOW: "nothing" })).toEqual(ALLOW_NOTHING)
    await write("rollout:\n  allow:\n    files: [/srv/models]\n")
    expect(await sourceOf("rollout.allow")).toBe(`${directory}/config.yaml:2`)
  })

  test("is all that a table says, and nothing else", async () => {
    await write("rollout: { allow: { files: [/srv/models/, /opt] } }")
    expect(await allowed()).toEqual({ ...ALLOW_NOTHING, files: ["/srv/models", "/opt"] })
    await write("rollout: { allow: {} }")
    expect(await allowed()).toEqual(ALLOW_NOTHING)
  })

  test("is folders, programs, origins and containers", async () => {
    await write(`rollout:
  allow:
    files: [/srv]
    exec: listed
    listed: { deploy: [/usr/bin/deploy, --now] }
    webhook: ["https://Hooks.example/", "http://127.0.0.1:8080"]
    containers:
      web: { runtime: podman, args: [--network, host], command: [serve] }
      db: { runtime: containerd, program: [ctr, --namespace, k8s.io] }
      cache: { unit: cache.service }
      "*": {}
`)
    expect(await allowed()).toEqual({
      files: ["/srv"],
      exec: "listed",
      listed: { deploy: ["/usr/bin/deploy", "--now"] },
      webhook: ["https://hooks.example", "http://127.0.0.1:8080"],
      containers: {
        web: { runtime: "podman", args: ["--network", "host"], command: ["serve"] },
        db: { runtime: "containerd", program: ["ctr", "--namespace", "k8s.io"] },
        cache: { unit: "cache.service" },
        "*": {},
      },
    })
  })

  test("is containers and units by their names alone", async () => {
    await write("rollout: { allow: { containers: [web, cache.service] } }")
    const containers = { web: {}, "cache.service": { unit: "cache.service" } }
    expect(await allowed()).toEqual({ ...ALLOW_NOTHING, containers })
  })

  test("lets a program of a rollout call sealift", async () => {
    const env = { SEALIFT_NODE: "n", SEALIFT_RELEASE: "a/b@1", SEALIFT_PATH: "/p" }
    expect((await load({}, env)).config.lan).toBe(false)
  })

  test.each([
    ["rollout: yes", 'rollout is "yes" (DATA/config.yaml:1); allowed: a table of keys'],
    ["rollout: { allow: some }", "allowed: auto, all, nothing, or a table of files"],
    ["rollout: { allow: [/srv] }", "allowed: a table of keys"],
    ["rollout: { alow: all }", "unknown key rollout.alow (DATA/config.yaml:1); allowed: allow"],
    [
      "rollout:\n  allow:\n    file: [/srv]",
      "unknown key rollout.allow.file (DATA/config.yaml:3); allowed: files, exec, listed",
    ],
    ["rollout: { allow: { files: [srv] } }", 'rollout.allow.files[0] is "srv"'],
    ["rollout: { allow: { files: [/srv/../etc] } }", "allowed: the absolute path of a folder"],
    ["rollout: { allow: { exec: any } }", "allowed: plan, listed, none"],
    ["rollout: { allow: { listed: { deploy: [] } } }", "allowed: at least one word"],
    ["rollout: { allow: { listed: { Deploy: [/x] } } }", "bad key rollout.allow.listed.Deploy"],
    ["rollout: { allow: { webhook: [https://a.example/x] } }", "allowed: an origin such as"],
    ["rollout: { allow: { webhook: [https://me:s@a.example] } }", "allowed: an origin such as"],
    ["rollout: { allow: { containers: [--rm] } }", "allowed: the name of a container"],
    ["rollout: { allow: { containers: { -x: {} } } }", "bad key rollout.allow.containers.-x"],
    [
      "rollout: { allow: { containers: { web: { runtime: lxc } } } }",
      "allowed: podman, docker, containerd",
    ],
    [
      "rollout: { allow: { containers: { web: { arg: [] } } } }",
      "unknown key rollout.allow.containers.web.arg (DATA/config.yaml:1); allowed: runtime, unit",
    ],
    ["rollout: { allow: { containers: { web: { program: [] } } } }", "at least one word"],
  ])("with %j says what is allowed", async (text, expected) => {
    await write(text)
    expect(await faultOf(load())).toContain(expected)
  })
})
