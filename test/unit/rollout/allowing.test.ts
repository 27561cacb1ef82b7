/** What a plan may do on a node, by the node's own configuration. */
import { describe, expect, test } from "vitest"
import {
  ALLOW_ALL,
  ALLOW_NOTHING,
  containerRule,
  type RolloutAllow,
  verifyAllowed,
  verifyProbeAllowed,
} from "../../../src/rollout/allowing.ts"
import type { Activation, Probe } from "../../../src/rollout/plan.ts"

const timeoutMs = 1_000
const ACTIVATIONS: readonly Activation[] = [
  { kind: "files", path: "/srv/models/current" },
  { kind: "exec", argv: ["/bin/true"], timeoutMs },
  { kind: "podman", container: "web", timeoutMs },
  { kind: "docker", container: "web", timeoutMs },
  { kind: "containerd", container: "web", timeoutMs },
  { kind: "webhook", url: `https://hooks.example/a/\${node}`, timeoutMs },
]
const CHECKS: readonly Probe["check"][] = [
  { kind: "exec", argv: ["/bin/true"] },
  { kind: "http", url: "http://127.0.0.1:8080/health" },
  { kind: "container", container: "web" },
]
const probe = (check: Probe["check"]): Probe => ({ check, timeoutMs, retries: 0, intervalMs: 0 })
const allowing = (some: Partial<RolloutAllow>): RolloutAllow => ({ ...ALLOW_NOTHING, ...some })
const refusedWith = (key: string) =>
  expect.objectContaining({ code: "ACTIVATION_REFUSED", message: expect.stringContaining(key) })

describe("a fleet of one person", () => {
  test.each(ACTIVATIONS)("allows $kind", (activation) => {
    expect(() => verifyAllowed(ALLOW_ALL, activation)).not.toThrow()
  })

  test.each(CHECKS)("allows a probe by $kind", (check) => {
    expect(() => verifyProbeAllowed(ALLOW_ALL, probe(check))).not.toThrow()
  })
})

describe("any other fleet", () => {
  test.each(ACTIVATIONS)("allows no $kind, and says which key to set", (activation) => {
    const keys = { files: "files", exec: "exec", webhook: "webhook" } as Record<string, string>
    const key = `rollout.allow.${keys[activation.kind] ?? "containers"}`
    expect(() => verifyAllowed(ALLOW_NOTHING, activation)).toThrow(refusedWith(key))
  })

  test.each(CHECKS)("allows no probe by $kind", (check) => {
    expect(() => verifyProbeAllowed(ALLOW_NOTHING, probe(check))).toThrow(
      refusedWith("rollout.allow."),
    )
  })

  test("allows to ask whether it runs: that is of the activation", () => {
    expect(() => verifyProbeAllowed(ALLOW_NOTHING, probe({ kind: "running" }))).not.toThrow()
  })
})

describe("a link", () => {
  const allow = allowing({ files: ["/srv/models", "/opt/"] })

  test.each(["/srv/models/current", "/srv/models/a/b", "/opt/x", `/srv/models/\${node}`])(
    "may be at %s",
    (path) => {
      expect(() => verifyAllowed(allow, { kind: "files", path })).not.toThrow()
    },
  )

  test.each([
    "/srv/models",
    "/srv/models/",
    "/srv/models-2/current",
    "/srv/models/../../etc/passwd",
    "/srv/models/./current",
    "/srv/models//current",
    "/srv/models/current/..",
    "srv/models/current",
    "",
    "/",
    "/srv/models/a\0b",
    `/srv/models/\${release}`,
    `/srv/models/\${path}`,
    `\${path}`,
  ])("may not be at %j", (path) => {
    expect(() => verifyAllowed(allow, { kind: "files", path })).toThrow(refusedWith(""))
  })
})

test("a link that is refused is told as the plan has it", () => {
  const path = `/srv/other/\${node}`
  const refused = () => verifyAllowed(allowing({ files: ["/srv/models"] }), { kind: "files", path })
  expect(refused).toThrow(`"${path}"`)
})

describe("programs", () => {
  const listed = { deploy: ["/usr/bin/deploy", `\${path}`] }
  const call = (name: string): Activation => ({ kind: "listed", name, timeoutMs })

  test("of the node's list run by plan and by list, and not at all by none", () => {
    expect(() => verifyAllowed(allowing({ exec: "plan", listed }), call("deploy"))).not.toThrow()
    expect(() => verifyAllowed(allowing({ exec: "listed", listed }), call("deploy"))).not.toThrow()
    expect(() => verifyAllowed(allowing({ exec: "none", listed }), call("deploy"))).toThrow(
      refusedWith("rollout.allow.exec"),
    )
  })

  test("of a plan do not run where only listed ones do", () => {
    const activation: Activation = { kind: "exec", argv: ["/usr/bin/deploy"], timeoutMs }
    expect(() => verifyAllowed(allowing({ exec: "listed", listed }), activation)).toThrow(
      refusedWith("set rollout.allow.exec to plan"),
    )
  })

  test.each(["toString", "__proto__", "deploy ", ""])("have no name %j", (name) => {
    expect(() => verifyAllowed(allowing({ exec: "listed", listed }), call(name))).toThrow(
      refusedWith("rollout.allow.listed"),
    )
  })
})

describe("web addresses", () => {
  const allow = allowing({ webhook: ["https://hooks.example", "http://127.0.0.1:8080"] })
  const hook = (url: string): Activation => ({ kind: "webhook", url, timeoutMs })

  test.each([
    "https://hooks.example/",
    `https://HOOKS.example:443/a?b=\${release}`,
    "http://127.0.0.1:8080",
  ])("of an allowed origin are called: %s", (url) => {
    expect(() => verifyAllowed(allow, hook(url))).not.toThrow()
  })

  test.each([
    "http://hooks.example/",
    "https://hooks.example:8443/",
    "https://hooks.example.evil/",
    "https://hooks.example@evil/",
    "https://me:secret@hooks.example/",
    `https://\${node}.example/`,
    "file:///etc/passwd",
    "hooks.example",
    "http://127.0.0.1:7070/",
  ])("of no other are: %s", (url) => {
    expect(() => verifyAllowed(allow, hook(url))).toThrow(refusedWith(""))
    expect(() => verifyProbeAllowed(allow, probe({ kind: "http", url }))).toThrow(refusedWith(""))
  })
})

describe("containers", () => {
  const web = { runtime: "podman", args: ["--network", "host"] } as const
  const allow = allowing({ containers: { web, db: {} } })

  test("are started as the node says", () => {
    expect(containerRule(allow, "web", "podman")).toBe(web)
    expect(containerRule(allow, "web")).toBe(web)
    expect(containerRule(allow, "db", "docker")).toEqual({})
    expect(containerRule(ALLOW_ALL, "anything", "docker")).toEqual({})
  })

  test("are of the runtime that the node says, and of no other", () => {
    const activation: Activation = { kind: "docker", container: "web", timeoutMs }
    expect(() => verifyAllowed(allow, activation)).toThrow(
      refusedWith("rollout.allow.containers.web.runtime"),
    )
  })

  test.each(["cache", "toString", "", "*"])("that the node does not know are none: %j", (name) => {
    expect(() => containerRule(allow, name)).toThrow(refusedWith("rollout.allow.containers"))
  })

  test.each(["--rm", "-a", "a b", "a/b", "../a", "*", ""])("have no name %j", (name) => {
    expect(() => containerRule(ALLOW_ALL, name)).toThrow(refusedWith("knows no container"))
  })
})
