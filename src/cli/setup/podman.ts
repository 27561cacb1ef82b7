/**
 * podman, buildah, skopeo and CRI-O (containers/image): a drop-in of `registries.conf.d` with a mirror
 * per registry. They send no `?ns=`, so the mirror's path carries the registry
 * (containers-registries.conf.d(5)).
 * @module
 */
import { mark, type SetupPlace, type SetupPlan } from "../../cli/setup/client.ts"
import { readText } from "../../cli/setup/file-change.ts"

/** Plans the change for podman (of the user, or of the machine when root asks). */
export async function planPodman(place: SetupPlace): Promise<SetupPlan> {
  return await planDropIn(place, "podman", place.userConfig)
}

/** Plans the change for CRI-O. */
export async function planCrio(place: SetupPlace): Promise<SetupPlan> {
  const plan = await planDropIn(place, "crio", undefined)
  return { ...plan, notes: ["Reload CRI-O (systemctl reload crio).", ...plan.notes] }
}

async function planDropIn(
  place: SetupPlace,
  client: "podman" | "crio",
  userConfig: string | undefined,
): Promise<SetupPlan> {
  const base = userConfig === undefined ? "/etc/containers" : `${userConfig}/containers`
  const path = place.at(`${base}/registries.conf.d/050-sealift-${client}.conf`)
  const content = () => registriesConf(place, client)
  const main = (await readText(place.at(`${base}/registries.conf`)).catch(() => "")) ?? ""
  const replaced = place.registries.filter((name) => main.includes(`"${name}"`))
  const warning = `${base}/registries.conf names ${replaced.join(", ")} too; the drop-in replaces those entries.`
  return {
    changes: [{ path, content }],
    notes: [
      `Mirrored: ${place.registries.join(", ")}; add others by --registry NAME.`,
      ...(replaced.length === 0 ? [] : [warning]),
    ],
  }
}

function registriesConf({ http, registries }: SetupPlace, client: string): string {
  const host = new URL(http).host
  const tables = registries.map((name) =>
    [
      "[[registry]]",
      `prefix = "${name}"`,
      `location = "${name}"`,
      "",
      "[[registry.mirror]]",
      `location = "${host}/${name}"`,
      // Loopback, and every byte is checked against its digest by node and client.
      "insecure = true",
      "",
    ].join("\n"),
  )
  return `${mark(client)}\n${tables.join("\n")}`
}
